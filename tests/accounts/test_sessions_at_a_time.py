"""Requests of one session that go on at a time: none takes back what another wrote, or ended."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from django.urls import reverse

from apps.accounts.drafts import kept_in
from apps.accounts.models import Membership, Role
from apps.accounts.sessions import SessionStore
from apps.accounts.sign_in import SEARCHED, SEEN
from apps.dashboard import views
from tests.accounts.conftest import TEXT, kept_at, shown
from tests.factories import PASSWORD


def while_it_loads(
    browser: Browser, other_tab: Callable[[Browser], Any], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """What the other tab got while the caseload, which notes when it was seen, was loading."""
    session = browser.session
    session[SEEN] -= 61
    session.save()
    cookies, real, got = browser.cookies.output(header="", sep=";"), views.caseload_page, []

    def loads(*args: Any, **kwargs: Any) -> Any:
        tab = Browser()
        tab.cookies.load(cookies)
        got.append(other_tab(tab))
        return real(*args, **kwargs)

    monkeypatch.setattr(views, "caseload_page", loads)
    assert browser.get("/caseload/").status_code == 200
    monkeypatch.undo()
    return got[0]


def test_what_is_kept_before_a_proof_stays_while_another_tab_loads(
    as_mona: Browser, mona: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    Membership.objects.filter(id=mona.id).update(roles=[Role.MANAGER, Role.THERAPIST])
    before = as_mona.session[SEEN]

    def sends(tab: Browser) -> Any:
        return tab.post(reverse("invite_member"), {"name": TEXT})

    kept = kept_at(while_it_loads(as_mona, sends, monkeypatch))
    assert as_mona.session[SEEN] >= before, "what the page changed is written as well"
    as_mona.post("/sign-in/again/", {"password": PASSWORD, "next": kept})
    assert TEXT in shown(as_mona.get(kept))


def test_what_is_looked_for_stays_while_another_tab_loads(
    as_alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    while_it_loads(as_alice, lambda tab: tab.post("/caseload/", {"q": "FE-0412"}), monkeypatch)
    assert as_alice.session[SEARCHED] == "FE-0412"


def two_of(browser: Browser) -> tuple[SessionStore, SessionStore]:
    """The session as two requests have read it."""
    one, other = (SessionStore(browser.session.session_key) for _ in range(2))
    assert dict(one.items()) == dict(other.items())
    return one, other


def test_each_request_writes_what_it_changed_and_nothing_else(as_alice: Browser) -> None:
    session = as_alice.session
    session.update({"goes": 1, "stays": 1, "list": [1]})
    session.save()
    one, other = two_of(as_alice)
    one["draft-1"] = "one"
    del one["goes"]
    one["list"].append(2)
    one.save()
    other["draft-2"] = "other"
    other.save()
    one["stays"] = 2
    one.save()
    now = as_alice.session
    assert kept_in(now) == {"1": "one", "2": "other"}
    assert (now.get("goes"), now["stays"], now["list"]) == (None, 2, [1, 2])


def test_what_another_request_wrote_goes_along_to_the_new_key(as_alice: Browser) -> None:
    proves, keeps = two_of(as_alice)
    late = SessionStore(as_alice.session.session_key)
    late["draft-2"] = "late"
    keeps["draft-1"] = "in time"
    keeps.save()
    proves.cycle_key()
    proves["proven"] = True
    proves.save()
    with pytest.raises(UpdateError):
        late.save()
    now = SessionStore(proves.session_key)
    assert (kept_in(now), now["proven"]) == ({"1": "in time"}, True)


def test_a_session_that_ended_while_a_page_was_loading_does_not_come_back(
    as_alice: Browser,
) -> None:
    loads, signs_out = two_of(as_alice)
    loads[SEEN] += 1
    signs_out.flush()
    with pytest.raises(UpdateError):
        loads.save()
    assert not Session.objects.exists()


def test_who_signed_out_while_a_proof_was_looked_at_does_not_come_back_by_it(
    as_alice: Browser,
) -> None:
    """Nor by a change of password or second step: each makes a new key of what was loaded."""
    proves, signs_out = two_of(as_alice)
    proves[SEEN] += 1
    signs_out.flush()
    with pytest.raises(SessionInterrupted):
        proves.cycle_key()
    assert not Session.objects.exists()


@pytest.mark.django_db
def test_a_stranger_whose_session_went_signs_in_all_the_same() -> None:
    store = SessionStore()
    store[SEARCHED] = "K. M."
    store.save()
    first, second = (SessionStore(store.session_key) for _ in range(2))
    assert first[SEARCHED] == second[SEARCHED]
    for each in (first, second):
        each.cycle_key()
    assert Session.objects.count() == 2
