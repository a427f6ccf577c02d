"""`manage.py import_ratings`: what is refused, with its place."""

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import Practice, Role
from apps.clients.models import Client, Treatment
from tests.exchange.importing import BY_NAME, csv, pomps
from tests.factories import ClientFactory, MembershipFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_owner")]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (csv("client,session,pomp", "A,1,80", "A,2,NA"), "line 3, column pomp"),
        (csv("client,session,pomp", "A,1,80", "A,1,80"), "line 3, column session"),
        (csv("client,session,b1,b2,g1,t1", "A,1,1,1,1,6"), "line 2, column t1"),
        (csv("client,session,b1,b2,g1,x1", "A,1,1,1,1,1"), "line 1, column x1"),
        (csv("client,session,b1,b2,g1", "A,1,1,1,1"), "line 1, column t1: expected this item"),
        (b"client,session,pomp\n\xe4,1,80\n", "line 2, column byte 1: expected UTF-8"),
        (csv("client,session,pomp", "A" * 21 + ",1,80"), "line 2, column client: expected a c"),
        (
            csv("client,session,pomp,therapist", f"A,1,80,{'T' * 121}"),
            "line 2, column therapist",
        ),
        (csv("client,session,pomp,no_shows", "A,1,80,31"), "line 2, column no_shows"),
        (csv("client,session,pomp,gap_days", "A,1,80,", "A,2,8,4e9"), "line 3, column gap_d"),
        (
            csv(
                "client,session,held_at,gap_days,pomp",
                "A,1,2026-01-01,,8",
                "A,2,2026-01-08,50,8",
            ),
            "line 3, column gap_days: expected days that agree with the dates",
        ),
        (csv("client,held_at,pomp", "A,0001-01-01,80"), "line 2, column held_at: expected a m"),
        (csv("client,held_at,pomp", "A,2026-01-01,8", "A,2026-01-01T12:00,8"), "line 3, col"),
        (
            csv("client,held_at,pomp", "A,2026-03-29T01:30,80"),
            "line 2, column held_at: expected a moment by the clock of Europe/London, which",
        ),
    ],
)
def test_is_refused_with_its_place_and_nothing_is_stored(refusal, text, place):
    assert refusal(text).startswith(place)


def test_at_the_end_of_a_long_file_nothing_before_it_is_stored(refusal):
    good = "".join(f"C{n},T{n},{m},80\n" for n in range(20) for m in range(1, 5))
    message = refusal(f"client,therapist,session,pomp\n{good}Z,T1,1,101\n")
    assert message.startswith("line 82, column pomp: expected a number from 0 to 100")


def test_dates_beyond_the_calendar_are_refused(folder, load):
    rows = [f"A,{n},80,3650" for n in range(1, 900)]
    with pytest.raises(CommandError, match="lead out of the calendar"):
        load(csv("client,session,pomp,gap_days", *rows))
    assert not Client.objects.exists()


def test_rows_without_a_therapist_need_one_named(refusal):
    message = refusal(pomps(80), therapist="")
    assert message.startswith("line 2, column therapist: expected a therapist; for rows")


def test_a_member_who_is_no_therapist_gets_no_clients(refusal, mona):
    message = refusal(pomps(80), therapist=mona.name)
    assert message.startswith("line 2, column therapist: expected a member who works as")


@pytest.mark.parametrize("about", [{}, {"is_active": False}, {"roles": [Role.SUPERVISOR]}])
def test_of_two_members_of_one_name_nobody_is_guessed(load, refusal, alice, about):
    """Not even where one treats nobody by now: whose the clients were the file does not say."""
    text = csv(BY_NAME, "A,1,80,Alice Moreau", "A,2,80,Alice Moreau")
    load(text)
    MembershipFactory.create(practice=alice.practice, name=alice.name, **about)
    message = refusal(csv(BY_NAME, "B,1,80,Charlie Nowak", "C,1,80,Alice Moreau"))
    assert message.startswith("line 3, column therapist: expected a name that no two members")
    assert message.count("hand the clients over afterwards, found 'Alice Moreau'") == 1
    load(text + "A,3,80,Alice Moreau\n")
    assert Treatment.objects.get().therapist == alice, "who it was is known from before"


def test_members_of_other_practices_may_have_the_same_name(load, alice, dora):
    MembershipFactory.create(practice=dora.practice, name=alice.name)
    load(csv(BY_NAME, "A,1,80,Alice Moreau"))
    assert Treatment.objects.get().therapist == alice


def test_a_code_that_a_client_of_the_practice_has_is_refused(refusal, practice):
    ClientFactory.create(practice=practice, code="A")
    assert refusal(pomps(80)).startswith("line 2, column client: expected a code that no clie")


@pytest.mark.parametrize("code", ["erased-0123456789ab", "Erased-1"])
def test_a_code_as_those_of_erased_clients_is_refused_before_it_is_looked_up(
    refusal, practice, code
):
    text = csv("client,session,pomp", "A,1,80", f"{code},1,80")
    expected = "line 3, column client: expected a code that does not begin with erased-"
    assert refusal(text).startswith(expected)
    ClientFactory.create(practice=practice, code=code)
    assert refusal(text).startswith(expected)


def test_clients_of_another_practice_may_have_the_same_code(load, dora):
    ClientFactory.create(practice=dora.practice, code="A")
    load(pomps(80))
    assert Client.objects.filter(code="A").count() == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"practice": "Nowhere"}, "There is no practice 'Nowhere'; there are: Fernbank"),
        ({"questionnaire": "other"}, "has no questionnaire 'other'; it has rapport-alliance"),
        ({"questionnaire": "missing.json"}, "missing.json is no questionnaire file"),
    ],
)
def test_what_is_not_there_is_named(load, options, message):
    with pytest.raises(CommandError, match=message) as refused:
        load(pomps(80), **options)
    assert refused.value.returncode == 2
    assert not Client.objects.exists()


def test_a_practice_is_found_by_its_id(load, practice):
    load(pomps(80), practice=str(practice.id))
    assert Client.objects.get().practice == practice


def test_of_two_practices_of_one_name_the_id_is_asked_for(load, practice, dora):
    Practice.objects.filter(id=dora.practice_id).update(name=practice.name)
    with pytest.raises(CommandError, match=f"Give an id: .*{practice.id}"):
        load(pomps(80))


def test_a_file_that_cannot_be_read_is_named(practice, folder):
    with pytest.raises(CommandError, match="expected a readable file") as refused:
        call_command(
            "import_ratings",
            str(folder / "nowhere.csv"),
            f"--practice={practice.name}",
            "--questionnaire=rapport-alliance-form",
        )
    assert refused.value.returncode == 2
