"""`manage.py revoke_links --practice … --client CODE --by …`: end links a wrong person may hold."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.clients.models import Client
from apps.core import tenancy
from apps.exchange.management.arguments import BAD_INPUT, find_member, find_practice
from apps.feedback.lifecycle import revoke_links


class Command(BaseCommand):
    help = (
        "End every link that one client was ever sent, for a message that reached a wrong person: "
        "whoever opens one sees the page of an unknown link. Requests that wait for an answer are "
        "withdrawn; ratings stay. It does not stop later messages: correct the address first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--practice", required=True, help="its name or id")
        parser.add_argument("--client", required=True, help="the client's code")
        parser.add_argument("--by", required=True, help="who decided it: a member's email or name")

    def handle(self, *args: Any, **options: Any) -> None:
        practice = find_practice(options["practice"])
        by = find_member(practice, options["by"])
        client = Client.objects.filter(practice=practice, code=options["client"].strip()).first()
        if client is None:
            raise CommandError(
                f"No client of {practice} has the code {options['client']!r}. No link was ended.",
                returncode=BAD_INPUT,
            )
        with tenancy.practice(practice.id):
            ended = revoke_links(client=client, by=by)
        self.stdout.write(f"Links ended: {ended}.")
