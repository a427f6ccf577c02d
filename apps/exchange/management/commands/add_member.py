"""`manage.py add_member`: give a person a place in a practice."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.formats import date_format

from apps.accounts.models import Membership, Role
from apps.accounts.oneself import NobodyYet, access_from
from apps.accounts.services import add_member, give_sign_in, start_supervision
from apps.core import tenancy
from apps.exchange.management.arguments import (
    BAD_INPUT,
    add_person_arguments,
    find_member,
    find_practice,
    read_email,
    read_name,
    read_password,
)


class Command(BaseCommand):
    help = (
        "Add a member to a practice, and let a supervisor see flags: those of the new member, or "
        "as the new member those of others. In a practice of more than seven days that begins once "
        "the supervisor has been there for seven. A therapist of this name whom an import made "
        "gets the sign-in and keeps the clients. The password is asked for twice, or read from "
        "standard input."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--practice", required=True, help="its name or id")
        add_person_arguments(parser, prefix="", roles=[Role.THERAPIST])
        parser.add_argument("--supervisor", default="", help="email address or name of a member")
        parser.add_argument(
            "--supervises",
            action="append",
            default=[],
            metavar="THERAPIST",
            help="email address or name of a member; may be given more than once",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        practice = find_practice(options["practice"])
        supervisor = None
        if options["supervisor"]:
            supervisor = find_member(practice, options["supervisor"])
            if not supervisor.has_role(Role.SUPERVISOR):
                raise _bad(f"{supervisor} is no supervisor in {practice}.")
        supervisees = [find_member(practice, each) for each in options["supervises"]]
        if supervisees and Role.SUPERVISOR not in (options["role"] or []):
            raise _bad("Who supervises needs --role supervisor.")
        name = read_name(options["name"], option="--name")
        email = read_email(options["email"])
        if Membership.objects.filter(practice=practice, user__email=email).exists():
            raise _bad(f"{email} is a member of {practice} already.")
        password = read_password(email, from_stdin=options["password_stdin"])
        roles = [Role(role) for role in options["role"] or [Role.THERAPIST]]
        imported = Membership.objects.filter(practice=practice, user=None, name=name).first()
        with tenancy.practice(practice.id):
            if imported:
                give_sign_in(member=imported, email=email, password=password, by=None)
            member = imported or add_member(
                practice=practice, name=name, roles=roles, email=email, password=password, by=None
            )
            supervised = _supervise(member, supervisor) if supervisor else ""
            since = [_supervise(each, member) for each in supervisees]
        if password is None:
            self.stdout.write(f"{email} has an account already: its password stays as it is.")
        if imported:
            self.stdout.write(f"{member} was made by an import and can sign in now.")
        said = f", supervised by {supervisor} from {supervised} on" if supervisor else ""
        if supervisees:
            said += f", supervising {', '.join(map(str, supervisees))} from {since[0]} on"
        self.stdout.write(f"{member} is a member of {practice}{said}.")


def _supervise(supervisee: Membership, supervisor: Membership) -> str:
    """Let them supervise as soon as that may hold; returns the day in words."""
    try:
        first = access_from(to=supervisor, by=None)
    except NobodyYet:
        raise _bad(f"{supervisor} has not joined yet.") from None
    start_supervision(supervisor=supervisor, supervisee=supervisee, starts_on=first, by=None)
    return "today" if first == timezone.localdate() else date_format(first, "j M Y")


def _bad(problem: str) -> CommandError:
    return CommandError(f"{problem} Nothing was stored.", returncode=BAD_INPUT)
