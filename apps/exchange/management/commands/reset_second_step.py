"""`manage.py reset_second_step EMAIL --practice … --by …`: for who lost phone, key and codes."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import Membership
from apps.accounts.sign_in_services import NoSecondStep, reset_second_step
from apps.core import tenancy
from apps.exchange.management.arguments import BAD_INPUT, find_member, find_practice


class Command(BaseCommand):
    help = (
        "Take away the second step of somebody who lost phone, security key and recovery codes. "
        "Be sure who asks: call them back or see them, a mail proves nothing. Their sessions end, "
        "they are told by mail, and sign in with the password to set up a new second step."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="what the person signs in with")
        parser.add_argument("--practice", required=True, help="where they work: its name or id")
        parser.add_argument(
            "--by", help="who made sure: another member's email or name; not in a practice of one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        practice = find_practice(options["practice"])
        member = find_member(practice, options["email"])
        by = find_member(practice, options["by"]) if options["by"] else None
        others = Membership.objects.filter(practice=practice, is_active=True).exclude(id=member.id)
        if by is None and others.exists():
            raise _refused("Say with --by who made sure.")
        if member == by:
            raise _refused("Nobody vouches for themselves.")
        try:
            with tenancy.practice(practice.id):
                reset_second_step(member=member, by=by)
        except NoSecondStep:
            raise _refused(f"{member} has no second step.") from None
        self.stdout.write(f"{member} signs in with the password and sets up a new second step.")


def _refused(problem: str) -> CommandError:
    return CommandError(f"{problem} Nothing was changed.", returncode=BAD_INPUT)
