"""`manage.py pause_sending --why "the provider moves"`: let no message out until released."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.core import sending


class Command(BaseCommand):
    help = "Let no message out until release_sending. Messages wait; nothing is lost."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--why", default="", help="shown to everybody who works here")

    def handle(self, *args: Any, **options: Any) -> None:
        sending.pause(why=options["why"])
        self.stdout.write("Sending is paused. Release it with: manage.py release_sending")
