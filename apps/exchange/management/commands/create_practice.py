"""`manage.py create_practice`: start a real practice with its first member."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from apps.accounts.models import Role
from apps.accounts.services import add_member, create_practice
from apps.alliance.services import install_shipped_questionnaires
from apps.core.names import is_same_name
from apps.core.spellings import mailbox
from apps.exchange.management.arguments import (
    BAD_INPUT,
    add_person_arguments,
    country_codes,
    read_email,
    read_name,
    read_password,
)

FIRST_ROLES = [Role.THERAPIST, Role.MANAGER]


class Command(BaseCommand):
    help = (
        "Start a practice: its name, its first member and whom clients can turn to beside their "
        "therapist. The password is asked for twice, or read from standard input."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True, help="of the practice")
        parser.add_argument(
            "--sender-name",
            required=True,
            help="neutral name on messages to clients: it tells nobody of therapy",
        )
        parser.add_argument("--country", required=True, help="two letters, such as GB")
        parser.add_argument("--time-zone", required=True, help="such as Europe/London")
        parser.add_argument(
            "--contact-name",
            required=True,
            help="somebody who treats none of the clients; in a practice of one an outside body",
        )
        parser.add_argument("--contact-phone", default="", help="this or an email address")
        parser.add_argument("--contact-email", default="")
        add_person_arguments(parser, prefix="member-", roles=FIRST_ROLES)

    def handle(self, *args: Any, **options: Any) -> None:
        country = options["country"].upper()
        if country not in country_codes():
            raise _bad(f"{options['country']!r} is no country of ISO 3166-1; GB is one.")
        if not (options["contact_phone"] or options["contact_email"]):
            raise _bad("Give --contact-phone or --contact-email, or both.")
        contact = read_name(options["contact_name"], option="--contact-name")
        name = read_name(options["member_name"], option="--member-name")
        email = read_email(options["member_email"])
        roles = [Role(role) for role in options["role"] or FIRST_ROLES]
        themselves = is_same_name(contact, name) or (
            mailbox(options["contact_email"]) == mailbox(email)
        )
        if themselves and Role.THERAPIST in roles:
            raise _bad("The contact treats none of the clients: name somebody else.")
        password = read_password(email, from_stdin=options["password_stdin"])
        try:
            with transaction.atomic():
                practice = create_practice(
                    country=country,
                    **{
                        field: options[field].strip()
                        for field in (
                            *("name", "sender_name", "time_zone"),
                            *("contact_name", "contact_phone", "contact_email"),
                        )
                    },
                )
                install_shipped_questionnaires(practice=practice, by=None)
                member = add_member(
                    practice=practice,
                    name=name,
                    roles=roles,
                    email=email,
                    password=password,
                    by=None,
                )
        except ValidationError as error:
            raise _bad(" ".join(_problems(error))) from error
        if password is None:
            self.stdout.write(f"{email} has an account already: its password stays as it is.")
        self.stdout.write(
            f"{practice} is ready (id {practice.id}).\n"
            f"Next: sign in at {settings.BASE_URL}/ as {email}"
            f"{' and add a client' if member.has_role(Role.THERAPIST) else ''}. "
            "A manager invites colleagues; 'manage.py add_member' adds them as well."
        )


def _bad(problem: str) -> CommandError:
    return CommandError(f"{problem} Nothing was stored.", returncode=BAD_INPUT)


def _problems(error: ValidationError) -> list[str]:
    """Each problem with the option that mends it."""
    return [
        f"--{field.replace('_', '-')}: {' '.join(messages)}"
        for field, messages in error.message_dict.items()
    ]
