"""`manage.py seed_demo`: an invented practice to look at; `make demo` calls it."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.exchange.demo.cast import HANA, MANAGER, PRACTICE, SUPERVISOR
from apps.exchange.demo.seed import PASSPHRASE, seed_demo


class Command(BaseCommand):
    help = (
        "Make the demo practice: invented people, courses over months, today's diary. Run again "
        "on the same day it changes nothing; on a later day it makes the practice anew, without "
        "what was tried in it, because its diary is past. Other practices are left alone."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError(
                "The demo practice is not made in production: everybody knows its passphrase. "
                "Nothing was changed. Start a real practice with 'manage.py create_practice'."
            )
        made = seed_demo()
        self.stdout.write(
            f"\n{PRACTICE['name']} is {'ready' if made else 'there already'}. "
            "All people in it are invented.\n\nSign in as\n"
        )
        for role, colleague in (
            ("therapist", HANA),
            ("supervisor", SUPERVISOR),
            ("manager", MANAGER),
        ):
            self.stdout.write(f"  {role:<11} {colleague.email:<24} {PASSPHRASE}")
