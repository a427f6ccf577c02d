"""`make bench`: a table of ratios, and benchmarks/results.json; exit status 1 where one is missed.

`--smoke` runs everything small, to see that it runs; its ratios mean nothing.
"""

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from apps.accounts.models import Membership
    from benchmarks.measure import Figure

RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    owner = os.environ | {"RAPPORT_DATABASE_ROLE": "migrator"}
    migrate = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity=0"]
    subprocess.run(migrate, env=owner, check=True)  # noqa: S603 - our own command
    django.setup()
    from django.test.utils import setup_test_environment

    setup_test_environment(debug=False)
    logging.disable(logging.INFO)  # a line for each request would bury the table
    from benchmarks import pages, world

    alice = world.caseload(6 if options.smoke else 60)
    found: list[Figure] = []
    for figure in _figures(alice, smoke=options.smoke):
        found.append(figure)
        sys.stdout.write(f"{figure}\n")
        sys.stdout.flush()
    told = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "figures": [figure.to_json() for figure in found],
        "page_weights": pages.weights(alice),
    }
    options.output.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    for name, weight in told["page_weights"].items():
        sys.stdout.write(f"weight of {name}: {weight['bytes']}, gzip {weight['gzip_bytes']}\n")
    return 0 if options.smoke or all(figure.held for figure in found) else 1


def _figures(alice: "Membership", *, smoke: bool) -> "Iterator[Figure]":
    from benchmarks import detection, pages

    rounds = 2 if smoke else 20
    yield from detection.figures(series=100 if smoke else 50_000, rounds=rounds)
    yield pages.caseload(alice, rounds=rounds)
    yield from pages.client_form(alice, rounds=rounds)
    yield from pages.growth((6, 12, 60) if smoke else (60, 600, 6000), rounds=rounds)
    yield from replay((200, 2_000) if smoke else (100_000, 1_000_000))


def replay(sizes: tuple[int, int]) -> "Iterator[Figure]":
    """`benchmarks.replay` at both sizes, each in processes of its own."""
    from benchmarks.measure import Figure

    command = [sys.executable, "-m", "benchmarks.replay", *map(str, sizes)]
    told = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    few, many = (json.loads(line) for line in told.stdout.splitlines())
    yield Figure(
        name=f"replaying one of {many['rated']} ratings",
        baseline=f"one of {few['rated']}",
        ratio=many["beside_the_first"],
        limit=1.2,
        seconds=many["us_per_rating"] / 1e6,
        baseline_seconds=few["us_per_rating"] / 1e6,
    )
    yield Figure(
        name=f"all of them, from the database to the report ({many['peak_mb']} MB)",
        baseline="the 30 s that are promised",
        ratio=many["seconds"] / 30,
        limit=1,
        seconds=many["seconds"],
        baseline_seconds=30,
    )


if __name__ == "__main__":
    sys.exit(main())
