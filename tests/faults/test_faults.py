"""The faults of tests/faults/faults.py, small. In full: `make faults`."""

from collections.abc import Iterator

import pytest

from tests.faults import faults
from tests.faults.lab import Lab

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("faults")]


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(slots=4) as lab:
        yield lab


def test_killed_workers_lose_nothing(lab: Lab) -> None:
    result = faults.f1_killed_workers(lab, messages=40, kills=2, ages=True)
    assert result.held, result


def test_one_bad_address_holds_up_nobody(lab: Lab) -> None:
    result = faults.f8_one_bad_address(lab, messages=20)
    assert result.held, result


def test_valkey_may_die_and_forget(lab: Lab) -> None:
    result = faults.f2_lost_redis(lab, messages=30, kills=2, flushes=1, away_s=1, beat=False)
    assert result.held, result


def test_a_mail_server_may_hang_refuse_break_off_and_hang_up(lab: Lab) -> None:
    for result in faults.f7_bad_mail_server(lab, messages=20, hanging=2):
        assert result.held, result


def test_everybody_may_answer_at_once(lab: Lab) -> None:
    result = faults.f11_many_at_once(lab, threads=8, links=4)
    assert result.held, result


def test_two_schedulers_and_four_senders_send_once(lab: Lab) -> None:
    result = faults.f13_too_many(lab, messages=40, beats=2, senders=4)
    assert result.held, result


def test_scanners_use_nothing_up(lab: Lab) -> None:
    result = faults.f18_scanners(lab, links=3, times=3)
    assert result.held, result


def test_no_change_of_clocks_makes_a_message_early() -> None:
    zones = ("Europe/London", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca")
    result = faults.f10_clocks(zones=zones, years=[2026])
    assert result.held, result
