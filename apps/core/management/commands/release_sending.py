"""`manage.py release_sending [--drop]`: send again, with or without what waits."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.core import sending
from apps.core.models import OutboxMessage


class Command(BaseCommand):
    help = "Send again after pause_sending or a restore; says first what waits."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--drop",
            action="store_true",
            help="withdraw what is due by now: after a restore it may have gone out already",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        waits = OutboxMessage.objects.waiting(at=timezone.now()).count()
        dropped = sending.release(drop=options["drop"])
        self.stdout.write(f"Sending is released. {waits} messages waited, {dropped} are withdrawn.")
