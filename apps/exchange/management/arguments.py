"""What several commands read from their arguments: a practice, a password, a country."""

import sys
from getpass import getpass
from importlib.resources import files
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.core.validators import validate_email

from apps.accounts.models import Membership, Practice, Role, User
from apps.core.spellings import refuse_accents

BAD_INPUT = 2


def find_practice(name_or_id: str) -> Practice:
    """The practice of this name or id.

    Raises:
        CommandError: there is none, or several; the message lists what to choose from.
    """
    try:
        found = list(Practice.objects.filter(id=UUID(name_or_id)))
    except ValueError:
        found = list(Practice.objects.filter(name__iexact=name_or_id.strip()).order_by("id"))
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(str(practice.id) for practice in found)
        problem = f"Several practices are called {name_or_id!r}. Give an id: {ids}."
    else:
        names = ", ".join(Practice.objects.order_by("name").values_list("name", flat=True))
        problem = f"There is no practice {name_or_id!r}; there are: {names or 'none yet'}."
    raise CommandError(f"{problem} Nothing was stored.", returncode=BAD_INPUT)


def find_member(practice: Practice, email_or_name: str) -> Membership:
    """The practice's active member with this email address or name; CommandError if not one."""
    active = Membership.objects.filter(practice=practice, is_active=True)
    found = list(active.filter(user__email__iexact=email_or_name.strip())) or list(
        active.filter(name__iexact=email_or_name.strip())
    )
    if len(found) == 1:
        return found[0]
    problem = "Several members are called" if found else "No member is called"
    raise CommandError(
        f"{problem} {email_or_name!r} in {practice}. Give an email address. Nothing was stored.",
        returncode=BAD_INPUT,
    )


def country_codes() -> frozenset[str]:
    """The codes of ISO 3166-1, as the time zone database lists them."""
    table = files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    return frozenset(line[:2] for line in table.splitlines() if not line.startswith("#"))


def add_person_arguments(parser: CommandParser, *, prefix: str, roles: list[Role]) -> None:
    """Options that describe a member: name, email, roles, and where the password comes from."""
    parser.add_argument(f"--{prefix}name", required=True, help="as colleagues know the person")
    parser.add_argument(f"--{prefix}email", required=True, help="what the person signs in with")
    parser.add_argument(
        "--role",
        action="append",
        choices=Role.values,
        help=f"may be given more than once; {' and '.join(roles)} unless given",
    )
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from standard input instead of asking for it twice",
    )


def read_name(text: str, *, option: str) -> str:
    """A person's name; CommandError where it is blank or too long."""
    longest = Membership._meta.get_field("name").max_length or 0
    if not 1 <= len(text.strip()) <= longest:
        raise CommandError(
            f"{option}: give a name of 1 to {longest} characters. Nothing was stored.",
            returncode=BAD_INPUT,
        )
    return text.strip()


def read_email(text: str) -> str:
    """The address as accounts keep it; CommandError if it is none."""
    try:
        validate_email(text.strip())
        refuse_accents(text)
    except ValidationError as error:
        raise CommandError(
            f"{text!r} is no email address. Nothing was stored.", returncode=BAD_INPUT
        ) from error
    return text.strip().lower()


def read_password(email: str, *, from_stdin: bool) -> str | None:
    """A new account's password, checked; None where the person has an account already.

    Raises:
        CommandError: the two differ, or the password is too weak; the message says why.
    """
    user = User.objects.filter(email=email).first()
    if user:
        if not user.is_active:
            raise CommandError(
                f"The account of {email} is closed. Use another address. Nothing was stored.",
                returncode=BAD_INPUT,
            )
        return None
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        try:
            password = getpass(f"Password for {email}: ")
            again = getpass("The same again: ")
        except EOFError as error:
            raise CommandError(
                "Nobody typed a password; scripts give --password-stdin. Nothing was stored.",
                returncode=BAD_INPUT,
            ) from error
        if password != again:
            raise CommandError(
                "The two passwords differ. Nothing was stored; start again.", returncode=BAD_INPUT
            )
    try:
        validate_password(password, User(email=email))
    except ValidationError as error:
        raise CommandError(
            f"{' '.join(error.messages)} Nothing was stored; choose another and start again.",
            returncode=BAD_INPUT,
        ) from error
    return password
