"""`make faults`: every fault at full size, a line each; exit status 0 where all held.

`make faults ONLY="f7 f8"` runs some. Needs engines: `python -m apps.core.embedded with-engines --`.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from zoneinfo import available_timezones

import django
from django.test.utils import override_settings, setup_test_environment


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("only", nargs="*", help="names of faults; none: all")
    only = parser.parse_args().only
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    owner = os.environ | {"RAPPORT_DATABASE_ROLE": "migrator"}
    migrate = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity=0"]
    subprocess.run(migrate, env=owner, check=True)
    django.setup()
    setup_test_environment()
    from tests.core.test_hooks import PROVIDERS
    from tests.faults import faults, throughput
    from tests.faults.faults import Result
    from tests.faults.lab import Lab

    def one(run: Callable[[Lab], Result | list[Result]]) -> bool:
        with Lab() as lab:
            results = run(lab)
        results = results if isinstance(results, list) else [results]
        for result in results:
            sys.stdout.write(f"{result}\n")
        sys.stdout.flush()
        return all(result.held for result in results)

    def scanned(lab: Lab) -> Result:
        with a_browser() as browse:
            return faults.f18_scanners(lab, links=20, times=10, browse=browse)

    def webhooks(lab: Lab) -> Result:
        with override_settings(**PROVIDERS):
            return faults.f9_webhooks(messages=100, times=10)

    full: dict[str, Callable[[], bool]] = {
        "f1": lambda: one(
            lambda lab: faults.f1_killed_workers(lab, messages=10_000, kills=20, within_s=300)
        ),
        "f2": lambda: one(
            lambda lab: faults.f2_lost_redis(
                lab, messages=5_000, kills=10, flushes=3, away_s=60, within_s=60
            )
        ),
        "f7": lambda: one(
            lambda lab: faults.f7_bad_mail_server(lab, messages=400, hanging=8, within_s=16)
        ),
        "f8": lambda: one(lambda lab: faults.f8_one_bad_address(lab, messages=100, within_s=15)),
        "f9": lambda: one(webhooks),
        "f10": lambda: one(
            lambda lab: faults.f10_clocks(zones=available_timezones(), years=range(2025, 2037))
        ),
        "f11": lambda: one(lambda lab: faults.f11_many_at_once(lab, threads=100, links=100)),
        "f13": lambda: one(lambda lab: faults.f13_too_many(lab, messages=500, beats=2, senders=8)),
        "f18": lambda: one(scanned),
        "throughput": lambda: throughput.main(2_000) == 0,
    }
    unknown = set(only) - set(full)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(full)}")
    held = [run() for name, run in full.items() if not only or name in only]
    return 0 if all(held) else 1


@contextmanager
def a_browser() -> Iterator[Callable[[str], None]]:
    """Chromium that opens an address, runs its scripts, and waits until all is quiet."""
    from playwright.sync_api import sync_playwright

    from tests.journeys.conftest import FLAGS, find_chromium

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright keeps an event loop running
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        page = browser.new_page()
        yield lambda address: page.goto(address, wait_until="networkidle") and None
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
