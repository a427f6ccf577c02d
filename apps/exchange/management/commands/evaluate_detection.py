"""`manage.py evaluate_detection`: how often the rule is right, on courses whose truth is known."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.exchange.management.arguments import BAD_INPUT
from apps.exchange.management.commands.screen import SCALES
from apps.exchange.ratings_csv import BadInputError, RatingsCsv
from apps.ruptures.detection import PARAMETERS

SEED = 20261125


class Command(BaseCommand):
    help = (
        "Judge the detector on simulated courses, beside other methods at the same number of false "
        "openings, and print the tables of docs/detection.md. Needs what requirements/dev.in "
        "lists; no database."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quick", action="store_true", help="fewer clients and populations")
        parser.add_argument("--seed", type=int, default=SEED, help=f"{SEED} unless given")
        parser.add_argument(
            "--ratings",
            metavar="FILE",
            help="real ratings, as `screen` reads them; only shares of them all are printed",
        )
        parser.add_argument("--form", choices=sorted(PARAMETERS), help="of FILE")
        parser.add_argument(
            "--write", action="store_true", help="put the tables and plots into docs/"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from apps.ruptures.evaluation import report, study
        except ModuleNotFoundError as error:
            raise CommandError(f"{error}: install requirements/dev.lock (make setup)") from error
        if options["ratings"]:
            self._real(options["ratings"], options["form"], options["seed"])
            return
        size = study.QUICK if options["quick"] else study.FULL
        told = study.run(size, seed=options["seed"])
        if options["write"]:
            report.write(told, Path(settings.BASE_DIR) / "docs")
        self.stdout.write(report.tables(told))

    def _real(self, name: str, form: str | None, seed: int) -> None:
        from apps.ruptures.evaluation import study

        if form is None:
            raise CommandError("--ratings needs --form", returncode=BAD_INPUT)
        try:
            with Path(name).open("rb") as file:
                ratings = RatingsCsv(file, name=name, scale=SCALES[form], items=None)
                series = [
                    [row.step() for row in each.rows if row.attended]
                    for each in ratings.read_series()
                ]
        except (BadInputError, OSError) as error:
            raise CommandError(str(error), returncode=BAD_INPUT) from error
        told = study.screen_real(series, PARAMETERS[form], seed=seed)
        self.stdout.write(
            f"{told.series} series, {told.rated} ratings. Opened {told.opened_per_100:.1f} times "
            "per 100 ratings; without labels this bounds false openings from above."
        )
        for depth, share in told.found.items():
            self.stdout.write(f"Falls of {depth} σ0 put into them: {share:.2f} found")
