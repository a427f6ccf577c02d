"""`manage.py import_ratings FILE --practice … --questionnaire …`: ratings of a CSV file."""

from datetime import date
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from apps.accounts.models import Practice
from apps.alliance.models import Questionnaire
from apps.alliance.services import install_questionnaire
from apps.core import tenancy
from apps.exchange.management.arguments import BAD_INPUT, find_practice
from apps.exchange.ratings_csv import BadInputError, RatingsCsv
from apps.exchange.services import Imported, import_ratings


class Command(BaseCommand):
    help = (
        "Import the alliance ratings of a CSV file, the same as for 'screen' (docs/detection.md): "
        "all of it or nothing. Reading a file again changes nothing; a longer one adds its new "
        "sessions. Clients are stored under their codes, without consent, so that nothing is ever "
        "sent to them. Who was erased is left out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE.csv", help="one row per client and session")
        parser.add_argument("--practice", required=True, help="its name or id")
        parser.add_argument(
            "--questionnaire",
            required=True,
            metavar="KEY|FILE.json",
            help="one the practice has, or a file like those in apps/alliance/questionnaires; "
            "texts may be empty, then it holds ratings but is never sent",
        )
        parser.add_argument(
            "--therapist", default="", help="who treated clients whose rows name no therapist"
        )
        parser.add_argument(
            "--first-week",
            type=date.fromisoformat,
            metavar="YYYY-MM-DD",
            help="when courses without held_at began; by default the longest ended last week",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            practice = find_practice(options["practice"])
            with tenancy.practice(practice.id), Path(options["file"]).open("rb") as file:
                questionnaire = _questionnaire(practice, options["questionnaire"])
                done = import_ratings(
                    practice=practice,
                    questionnaire=questionnaire,
                    ratings=RatingsCsv(file, name=options["file"], scale=questionnaire.scale),
                    therapist=options["therapist"].strip(),
                    first_week=options["first_week"],
                    # None: no bar where nobody watches.
                    progress=lambda clients: tqdm(clients, unit="client", disable=None),
                    by=None,
                )
        except BadInputError as error:
            raise CommandError(f"{error}. Nothing was stored.", returncode=BAD_INPUT) from error
        except ValidationError as error:
            message = f"{' '.join(error.messages)} Nothing was stored."
            raise CommandError(message, returncode=BAD_INPUT) from error
        except OverflowError as error:
            message = f"{options['file']}: gap_days lead out of the calendar. Nothing was stored."
            raise CommandError(message, returncode=BAD_INPUT) from error
        except OSError as error:
            message = f"{options['file']}: expected a readable file ({error.strerror})"
            raise CommandError(message, returncode=BAD_INPUT) from error
        for line in _summary(done):
            self.stdout.write(line)


def _questionnaire(practice: Practice, key_or_file: str) -> Questionnaire:
    if key_or_file.endswith(".json"):
        return install_questionnaire(practice=practice, path=Path(key_or_file), by=None)
    installed = Questionnaire.objects.filter(practice=practice).order_by("key", "-version")
    questionnaire = installed.filter(key=key_or_file).first()
    if questionnaire is None:
        keys = ", ".join(dict.fromkeys(installed.values_list("key", flat=True)))
        raise CommandError(
            f"{practice} has no questionnaire {key_or_file!r}; it has {keys or 'none'}. "
            "Name one of these, or a .json file. Nothing was stored.",
            returncode=BAD_INPUT,
        )
    return questionnaire


def _summary(done: Imported) -> list[str]:
    if done.sessions:
        added = f"Imported {done.sessions} sessions with {done.ratings} ratings."
        lines = [f"{added} {done.clients} clients are new; {done.known} sessions were known."]
    else:
        lines = [f"Nothing new: all {done.known} sessions were imported before."]
    if done.therapists:
        lines.append(f"New members without sign-in: {', '.join(done.therapists)}.")
    if done.erased:
        found = ", ".join(map(str, done.erased))
        lines.append(
            f"Left out, as they were erased: the clients who begin in line {found}. "
            "Take them out of the file."
        )
    return lines
