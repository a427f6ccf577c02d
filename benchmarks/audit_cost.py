"""What the audit row costs a caseload page, as a ratio from paired runs.

    .venv/bin/python -m apps.core.embedded with-engines -- .venv/bin/python -m benchmarks.audit_cost

asks for the page by turns with and without its audit row, on throwaway engines, and exits with 1
above the budget. A ratio of neighbours, so that a busy machine slows both alike.
"""

import os
import statistics
import sys
import time
from unittest import mock

import django

BUDGET = 1.15
PAIRS = 60
CLIENTS = 25


def audit_cost(pairs: int = PAIRS, clients: int = CLIENTS) -> float:
    """Median over pairs of (time with the row / time without it) of a page of `clients` clients."""
    from apps.core import tenancy
    from apps.core.models import AuditEntry
    from tests.conftest import signed_in
    from tests.factories import MembershipFactory, TreatmentFactory

    therapist = MembershipFactory.create()
    for _ in range(clients):
        TreatmentFactory.create(therapist=therapist, pomps=[80, 85, 90, 70])
    browser = signed_in(therapist)

    def ask() -> float:
        started = time.perf_counter()
        browser.get("/caseload/")
        return time.perf_counter() - started

    def ask_without() -> float:
        with mock.patch("apps.core.audit.read"):
            return ask()

    for _ in range(3):
        ask(), ask_without()
    ratios = []
    for n in range(pairs):
        # Which of the two comes first alternates: caches favour the second.
        if n % 2:
            with_row, without = ask(), ask_without()
        else:
            without, with_row = ask_without(), ask()
        ratios.append(with_row / without)
    with tenancy.practice(therapist.practice_id):
        rows = AuditEntry.objects.filter(is_read=True, route="caseload").count()
    if rows != pairs + 3:
        raise RuntimeError(
            f"{rows} audit rows instead of {pairs + 3}: this measured something else"
        )
    return statistics.median(ratios)


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    import logging

    from django.test.utils import (
        setup_databases,
        setup_test_environment,
        teardown_databases,
    )

    from tests.conftest import the_owner

    logging.disable(logging.INFO)
    setup_test_environment()
    with the_owner():
        made = setup_databases(verbosity=0, interactive=False)
    try:
        ratio = audit_cost()
    finally:
        with the_owner():
            teardown_databases(made, verbosity=0)
    sys.stdout.write(f"caseload page, {CLIENTS} clients, {PAIRS} pairs: {ratio:.3f} of the time ")
    sys.stdout.write(f"without its audit row (budget {BUDGET})\n")
    return 0 if ratio <= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
