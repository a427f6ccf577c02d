"""`manage.py screen FILE.csv --form form5|slider`: screen ratings without a database."""

import json
import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, NamedTuple

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.alliance.scoring import Scale
from apps.exchange.ratings_csv import BadInputError, RatingsCsv, Row, Series
from apps.ruptures.detection import (
    PARAMETERS,
    Event,
    Level,
    Parameters,
    Screening,
    State,
    Step,
    screen,
    start,
)
from apps.ruptures.reasons import RATINGS_BEFORE_RANGE, reasons, usual_range

SCALES = {"form5": Scale(1, 5), "slider": Scale(0, 10)}
IN_MEMORY = 1_000_000

LEVEL_WORDS = {
    Level.NONE: "No flag",
    Level.WATCH: "Watch",
    Level.POSSIBLE: "Possible rupture",
    Level.MARKED: "Possible rupture · marked",
}
EVENT_WORDS = {
    None: "",
    Event.OPENED: "Opened",
    Event.ESCALATED: "Escalated",
    Event.IMPROVING: "Improving",
    Event.CONTINUES: "Continues",
    Event.REPAIRED: "Recovering: repaired?",
    Event.SETTLED_LOWER: "Settled lower",
}
HEADINGS = ("Rated", "Usual range", "Level", "Event", "Why")


class Screened(NamedTuple):
    """One session, the state before it, and what the filter says of it."""

    row: Row
    before: State
    step: Step
    screening: Screening


class Command(BaseCommand):
    help = (
        "Screen the alliance ratings of a CSV file for possible ruptures. Needs no database. "
        "The columns are described in docs/detection.md. A flag is a question, never a verdict; "
        "no flag does not mean no rupture."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE.csv", help="one row per client and session")
        parser.add_argument("--form", required=True, choices=sorted(PARAMETERS))
        parser.add_argument("--items", type=_items, help="the item columns, such as q1,q2,q3")
        parser.add_argument(
            "--scale",
            type=_scale,
            metavar="MIN-MAX",
            help="of the items; 1-5 for form5 and 0-10 for slider unless given",
        )
        parser.add_argument("--format", choices=("table", "jsonl"), default="table")

    def handle(self, *args: Any, **options: Any) -> None:
        parameters = PARAMETERS[options["form"]]
        write = _jsonl if options["format"] == "jsonl" else _table
        # Nothing may reach stdout before the last row is known to be good.
        with SpooledTemporaryFile(IN_MEMORY, "w+", encoding="utf-8", newline="\n") as spool:
            try:
                with Path(options["file"]).open("rb") as file:
                    ratings = RatingsCsv(
                        file,
                        name=options["file"],
                        scale=options["scale"] or SCALES[options["form"]],
                        items=options["items"],
                    )
                    for series in ratings.read_series():
                        spool.writelines(write(series, ratings.order, parameters))
            except BadInputError as error:
                raise CommandError(str(error), returncode=2) from error
            except OSError as error:
                message = f"{options['file']}: expected a readable file ({error.strerror})"
                raise CommandError(message, returncode=2) from error
            if ratings.unread:
                self.stderr.write(f"Not read: {', '.join(ratings.unread)} (not in --items)")
            spool.seek(0)
            try:
                for line in spool:
                    self.stdout.write(line, ending="")
                self.stdout.flush()
            except BrokenPipeError:
                # The reader, such as `head`, has seen enough; nothing is left to flush at exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


def _scale(text: str) -> Scale:
    number = r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?"
    match = re.fullmatch(f"({number})-({number})", text)
    try:
        return Scale(*map(float, match.groups() if match else ()))
    except (TypeError, ValueError) as error:
        raise ArgumentTypeError("expected MIN-MAX, such as 0-10") from error


def _screened(series: Series, parameters: Parameters) -> Iterator[Screened]:
    state = start(parameters)
    for row in series.rows:
        if row.attended:
            before, step = state, row.step()
            state, screening = screen(before, step, parameters)
            yield Screened(row, before, step, screening)


def _jsonl(series: Series, order: str, parameters: Parameters) -> Iterator[str]:
    for row, _, _, screening in _screened(series, parameters):
        line = {"client": row.client, order: row.when, **screening.to_json()}
        yield json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"


def _table(series: Series, order: str, parameters: Parameters) -> Iterator[str]:
    rows = [_words(screened) for screened in _screened(series, parameters)]
    if not rows:
        return
    therapist = f" · therapist {series.therapist}" if series.therapist else ""
    yield f"Client {series.client}{therapist}\n"
    yield from _aligned([(order.replace("_", " ").capitalize(), *HEADINGS), *rows])
    yield "\n"


def _words(screened: Screened) -> tuple[str, ...]:
    row, before, step, screening = screened
    low, high = usual_range(screening)
    return (
        str(row.when),
        "–" if screening.pomp is None else f"{screening.pomp:.0f}",
        f"{low}–{high}" if before.rated >= RATINGS_BEFORE_RANGE else "forming",
        LEVEL_WORDS[screening.level],
        EVENT_WORDS[screening.event],
        _why(before, step, screening),
    )


def _why(before: State, step: Step, screening: Screening) -> str:
    if screening.level is Level.NONE and screening.event is None:
        return ""
    why = reasons(
        step,
        screening,
        ratings_before=before.rated,
        asked_before=before.asked,
        missed_before=before.missed,
        therapist_name="The therapist",
    )
    against = ("Speaks against:", *why.speaks_against) if why.speaks_against else ()
    return " ".join((*why.speaks_for, *why.unknown, *against))


def _aligned(rows: list[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip() + "\n"
