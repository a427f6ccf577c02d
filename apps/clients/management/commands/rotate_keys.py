"""`manage.py rotate_keys [--root]`: new keys while people work; stop and call it again at will."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from tqdm import tqdm

from apps.clients import rotation
from apps.core.models import ClientKey, PracticeKey


class Command(BaseCommand):
    help = (
        "Give every practice and every client a new key and seal all values anew, while Rapport "
        "runs. It may be stopped; the next call goes on where it was."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--root",
            action="store_true",
            help="only wrap the practices' keys with the first of ENCRYPTION_KEYS; "
            "afterwards the older ones can be taken away",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["root"]:
            moved = rotation.rewrap_for_new_root()
            self.stdout.write(f"{moved} practice keys are wrapped by the current root key.")
            return
        practices = PracticeKey.objects.filter(retired_at__isnull=True).values_list(
            "practice_id", flat=True
        )
        clients = ClientKey.objects.filter(retired_at__isnull=True).count()
        moved = 0
        with tqdm(total=clients, unit="client", disable=None) as bar:
            for practice_id in list(practices):
                for values in rotation.rotate(practice_id):
                    moved += values
                    bar.update()
        self.stdout.write(f"{moved} values are sealed with new keys.")
