"""`manage.py create_practice` and `manage.py add_member`."""

import io
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone
from django.utils.formats import date_format

from apps.accounts import notices
from apps.accounts.models import Membership, Practice, Role, Supervision, User
from apps.alliance.models import Questionnaire
from apps.clients.models import Client
from apps.exchange.management import arguments
from apps.feedback.services import practice_questionnaire
from tests.factories import PASSWORD, MembershipFactory, TreatmentFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_owner")]

PRACTICE = {
    "name": "Larkfield Therapy",
    "sender_name": "Larkfield",
    "country": "gb",
    "time_zone": "Europe/London",
    "contact_name": "Ruth Adeyemi",
    "contact_phone": "020 7946 0018",
    "member_name": "Nora Quist",
    "member_email": "Nora@Larkfield.example",
}


@pytest.fixture
def say(monkeypatch):
    """Let standard input hold a text."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.fixture
def type_in(monkeypatch):
    """Let a person type these answers when asked for a password."""

    def answers(*typed: str) -> None:
        left = list(typed)
        monkeypatch.setattr(arguments, "getpass", lambda prompt: left.pop(0))

    return answers


def run(command: str, *flags: str, **options: Any) -> str:
    printed = StringIO()
    given = {name: value for name, value in options.items() if value is not None}
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    call_command(command, *arguments, *flags, stdout=printed)
    return printed.getvalue()


def create_practice(**changes: Any) -> str:
    return run("create_practice", "--password-stdin", **{**PRACTICE, **changes})


class TestCreatePractice:
    def test_starts_a_practice_of_one(self, say):
        say(f"{PASSWORD}\n")
        printed = create_practice()
        practice = Practice.objects.get()
        assert (practice.name, practice.country) == ("Larkfield Therapy", "GB")
        assert practice.has_independent_contact
        member = Membership.objects.get()
        assert (member.name, set(member.roles)) == ("Nora Quist", {"therapist", "manager"})
        assert member.user.email == "nora@larkfield.example"
        assert member.user.check_password(PASSWORD)
        assert practice_questionnaire(practice).key == "rapport-alliance-form"
        assert str(practice.id) in printed
        assert f"sign in at {settings.BASE_URL}/ as nora@larkfield.example and add" in printed

    def test_a_contact_whose_name_is_a_part_of_the_members_is_taken_and_asked_about(self, say):
        say(PASSWORD)
        create_practice(contact_name="Nora Quist", member_name="Nora Quist-Berg")
        assert Practice.objects.get().has_independent_contact
        [told] = notices.unread(Membership.objects.get())
        assert "has a name like that of Nora Quist, the independent contact" in told.said.text

    def test_the_person_can_sign_in(self, say, client):
        say(PASSWORD)
        create_practice()
        assert client.login(username="nora@larkfield.example", password=PASSWORD)

    def test_asks_for_the_password_twice(self, type_in):
        type_in(PASSWORD, PASSWORD)
        run("create_practice", **PRACTICE)
        assert User.objects.get().check_password(PASSWORD)

    def test_roles_may_be_chosen(self, say):
        say(PASSWORD)
        run("create_practice", "--password-stdin", "--role=manager", **PRACTICE)
        assert Membership.objects.get().roles == [Role.MANAGER]

    def test_a_person_with_an_account_keeps_it_and_is_told_so(self, dora):
        printed = create_practice(member_email=dora.user.email.upper())
        assert Membership.objects.get(practice__name="Larkfield Therapy").user == dora.user
        assert "has an account already: its password stays as it is" in printed
        dora.user.refresh_from_db()
        assert dora.user.check_password(PASSWORD)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"country": "UK"}, "'UK' is no country of ISO 3166-1; GB is one."),
            ({"time_zone": "localtime"}, "--time-zone: “localtime” is no time zone"),
            ({"time_zone": "London"}, "--time-zone: “London” is no time zone; Europe/London is"),
            ({"contact_phone": None}, "Give --contact-phone or --contact-email"),
            ({"contact_email": "ruth"}, "--contact-email: Enter a valid email address"),
            ({"contact_name": " "}, "--contact-name: "),
            ({"contact_name": "Mrs Nora Quist, MA"}, "The contact treats none of the clients"),
            ({"contact_name": "nora quist"}, "The contact treats none of the clients"),
            (
                {"contact_email": "nora@larkfield.example "},
                "The contact treats none of the clients",
            ),
            ({"name": " "}, "--name: "),
            ({"sender_name": "L" * 41}, "--sender-name: Ensure this value has at most 40"),
            ({"sender_name": "Larkfield Therapy"}, "--sender-name: “Therapy” tells"),
            ({"sender_name": "Kinderpsychologie Nord"}, "“Kinderpsychologie” tells"),
            ({"sender_name": "Centre de soins"}, "“soins” tells"),
            ({"sender_name": "عيادة النور"}, "“عيادة” tells"),
            ({"sender_name": "Ｔｈｅｒａｐｙ"}, "“Therapy” tells what messages are about; Fern"),
            ({"member_email": "nora"}, "'nora' is no email address."),
            ({"member_name": " "}, "--member-name: "),
            ({"member_name": "N" * 121}, "--member-name: "),
        ],
    )
    def test_what_is_wrong_is_named_and_nothing_is_stored(self, say, changes, message):
        say(PASSWORD)
        refused(lambda: create_practice(**changes), message)

    @pytest.mark.parametrize("password", ["short", ""])
    def test_a_weak_password_is_refused(self, say, password):
        say(password)
        refused(create_practice, "his password is too")

    def test_two_different_passwords_are_refused(self, type_in):
        type_in(PASSWORD, "another long passphrase")
        refused(lambda: run("create_practice", **PRACTICE), "The two passwords differ")

    def test_where_nobody_can_type_a_script_is_told_how(self, monkeypatch):
        def nobody(prompt: str) -> str:
            raise EOFError

        monkeypatch.setattr(arguments, "getpass", nobody)
        refused(lambda: run("create_practice", **PRACTICE), "--password-stdin")

    def test_a_closed_account_is_refused(self, dora):
        User.objects.update(is_active=False)
        with pytest.raises(CommandError, match="is closed"):
            create_practice(member_email=dora.user.email)
        assert not Practice.objects.filter(name=PRACTICE["name"]).exists()


def refused(call, message: str) -> None:
    with pytest.raises(CommandError) as error:
        call()
    assert message in str(error.value)
    assert str(error.value).count("Nothing was stored") == 1
    assert error.value.returncode == 2
    for model in (Practice, User, Membership, Questionnaire):
        assert not model.objects.exists()


class TestAddMember:
    def test_adds_a_therapist_with_a_supervisor_from_today_on(self, say, practice, sam):
        say(PASSWORD)
        printed = run(
            "add_member",
            "--password-stdin",
            practice=practice.name,
            name="Tariq Vale",
            email="tariq@fernbank.example",
            supervisor=sam.user.email,
        )
        member = Membership.objects.get(name="Tariq Vale")
        assert member.roles == [Role.THERAPIST]
        assert member.user.check_password(PASSWORD)
        supervision = Supervision.objects.get(supervisee=member)
        assert (supervision.supervisor, supervision.starts_on) == (sam, timezone.localdate())
        assert printed == (
            f"Tariq Vale is a member of {practice}, supervised by Sam Okafor from today on.\n"
        )

    def test_a_supervisor_can_join_after_those_they_supervise(self, say, practice, alice, charlie):
        say(PASSWORD)
        printed = run(
            "add_member",
            "--password-stdin",
            "--role=supervisor",
            f"--supervises={alice.user.email}",
            f"--supervises={charlie.name}",
            practice=practice.id,
            name="Tariq Vale",
            email="tariq@fernbank.example",
        )
        found = Supervision.objects.filter(supervisor__name="Tariq Vale")
        assert {each.supervisee for each in found} == {alice, charlie}
        assert f"supervising {alice}, {charlie} from today on" in printed

    def test_who_joins_an_older_practice_supervises_from_the_eighth_day_on(
        self, say, practice, alice
    ):
        Practice.objects.update(created_at=timezone.now() - timedelta(days=30))
        say(PASSWORD)
        printed = run(
            "add_member",
            "--password-stdin",
            "--role=supervisor",
            f"--supervises={alice.name}",
            practice=practice.id,
            name="Tariq Vale",
            email="tariq@fernbank.example",
        )
        [link] = Supervision.objects.all()
        assert link.starts_on == timezone.localdate() + timedelta(days=7)
        assert f"supervising {alice} from {date_format(link.starts_on, 'j M Y')} on" in printed
        [told] = notices.unread(alice)
        assert told.said.text.startswith("Tariq Vale supervises you from")

    def test_roles_are_chosen_and_the_practice_named_by_its_id(self, say, practice):
        say(PASSWORD)
        run(
            "add_member",
            "--password-stdin",
            "--role=supervisor",
            "--role=manager",
            practice=practice.id,
            name="Tariq Vale",
            email="tariq@fernbank.example",
        )
        assert Membership.objects.get().roles == [Role.SUPERVISOR, Role.MANAGER]

    def test_a_person_of_another_practice_keeps_the_account(self, practice, dora):
        printed = run("add_member", practice=practice.id, name="Dora Lind", email=dora.user.email)
        assert "has an account already" in printed
        assert dora.user.memberships.count() == 2

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"supervisor": "nobody"}, "No member is called 'nobody'"),
            ({"supervisor": "Charlie Nowak"}, "Charlie Nowak is no supervisor in"),
            ({"supervisor": "From a file"}, "From a file has not joined yet"),
            ({"supervises": "nobody"}, "No member is called 'nobody'"),
            ({"supervises": "Charlie Nowak"}, "Who supervises needs --role supervisor"),
            ({"practice": "Nowhere"}, "There is no practice 'Nowhere'"),
            ({"email": "tariq"}, "'tariq' is no email address"),
            ({"name": "  "}, "--name: "),
        ],
    )
    def test_what_is_wrong_is_named_and_nothing_is_stored(
        self, say, practice, charlie, changes, message
    ):
        say(PASSWORD)
        place = MembershipFactory.create(
            practice=practice, name="From a file", user=None, roles=[Role.SUPERVISOR]
        )
        given = {"practice": practice.id, "name": "Tariq Vale", "email": "tariq@fernbank.example"}
        with pytest.raises(CommandError, match=message) as error:
            run("add_member", "--password-stdin", **{**given, **changes})
        assert error.value.returncode == 2
        assert set(Membership.objects.all()) == {charlie, place}
        assert User.objects.count() == 1

    def test_a_therapist_made_by_an_import_gets_a_sign_in_and_keeps_the_clients(
        self, say, practice
    ):
        imported = MembershipFactory.create(practice=practice, name="T01", user=None)
        treatment = TreatmentFactory.create(therapist=imported)
        say(PASSWORD)
        printed = run(
            "add_member",
            "--password-stdin",
            practice=practice.id,
            name="T01",
            email="t01@fernbank.example",
        )
        assert "T01 was made by an import and can sign in now." in printed
        member = Membership.objects.get(practice=practice, name="T01")
        assert member.user.check_password(PASSWORD)
        assert Client.objects.visible_to(member).get() == treatment.client

    def test_nobody_is_a_member_twice(self, practice, alice):
        with pytest.raises(CommandError, match="already"):
            run("add_member", practice=practice.id, name="Alice", email=alice.user.email)
