"""Chromium, and a Rapport of its own for the stories: the real launcher, worker and mail server."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as modern_policy
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
STARTS_WITHIN_S = 180
# For a page's own words as for its elements: on a busy machine five seconds are too few.
SHOWS_WITHIN_MS = 15_000
expect.set_options(timeout=SHOWS_WITHIN_MS)
PASSPHRASE = "quiet harbour lantern"
# By the browser itself, so that no helper's click is forgotten.
COUNT_PRESSES = """
addEventListener("pointerdown", event => {
  if (event.isTrusted) sessionStorage.presses = 1 + Number(sessionStorage.presses || 0)
}, true)
"""


def find_chromium() -> str:
    """Debian's or the person's own Chromium; where there is none, CI fails and others skip."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("RAPPORT_REQUIRE_BROWSER"):
            pytest.fail("Chromium is missing, and browser tests must run here.")
        pytest.skip("Chromium is missing: install it to run the browser tests.")
    return path


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Ended after each module: while it runs, its event loop does too, and Django refuses the
    database to whatever other test this process goes on with."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def keeping_chromium(playwright: Playwright) -> Iterator[Browser]:
    """Keeps pages as they stood for *Back*, as people's do; Playwright switches that off."""
    browser = playwright.chromium.launch(
        executable_path=find_chromium(),
        args=FLAGS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield browser
    browser.close()


@dataclass
class Postbox:
    """A mail server on a socket that keeps what it is given."""

    received: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        message = BytesParser(policy=modern_policy).parsebytes(envelope.original_content or b"")
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        return "250 taken"


@dataclass
class Rapport:
    """A running demo in a folder of its own."""

    address: str
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[str]
    postbox: Postbox

    def mail_to(self, recipient: str, *, seconds: int) -> EmailMessage:
        """The newest mail to `recipient`; fails with the worker's log where none comes in time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for message in reversed(self.postbox.received):
                if recipient in message["To"]:
                    return message
            time.sleep(0.2)
        log = (self.folder / ".rapport" / "logs" / "worker.log").read_text()[-4000:]
        pytest.fail(f"No mail to {recipient} within {seconds} s. The worker said:\n{log}")

    def stop(self) -> int:
        """Press Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)


@pytest.fixture(scope="session")
def rapport(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rapport]:
    folder = tmp_path_factory.mktemp("clone")
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    postbox = Postbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Controller(postbox, hostname="127.0.0.1", port=port)
    server.start()
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("DATABASE_URL")
        and name
        not in {
            "REDIS_URL",
            "SECRET_KEY",
            "ENCRYPTION_KEYS",
            "BASE_URL",
            "PORT",
            "DJANGO_SETTINGS_MODULE",
        }
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "apps.core.embedded", "demo"],
        cwd=folder,
        env=inherited
        | {"EMAIL_URL": f"smtp://127.0.0.1:{port}", "ALLOWED_RECIPIENTS": "@mail.example"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        address = _address(process)
        yield Rapport(address, folder, inherited | {"BASE_URL": address}, process, postbox)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
        server.stop()
        if process.stdout:
            process.stdout.close()


def _address(process: subprocess.Popen[str]) -> str:
    """Where the demo says it is, once it answers there."""
    said = []
    until = time.monotonic() + STARTS_WITHIN_S
    assert process.stdout
    for line in process.stdout:
        said.append(line)
        if line.startswith("Rapport is at "):
            address = line.split()[3].rstrip("/")
            while time.monotonic() < until:
                try:
                    with urlopen(f"{address}/healthz/", timeout=2) as response:
                        if response.status == 200:
                            return address
                except URLError:
                    time.sleep(0.2)
    pytest.fail("The demo did not start:\n" + "".join(said))


def sign_in(chromium: Browser, rapport: Rapport, name: str) -> Page:
    """A page of one of the demo's people, on the page they start at.

    Without motion: while a page scrolls smoothly, a press and its release meet different things.
    """
    page = chromium.new_context(
        viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
    ).new_page()
    page.add_init_script(COUNT_PRESSES)
    page.set_default_timeout(SHOWS_WITHIN_MS)
    page.goto(f"{rapport.address}/sign-in/")
    page.locator("input[name=username]").fill(f"{name}@fernbank.example")
    page.locator("input[type=password]").fill(PASSPHRASE)
    page.locator("button[type=submit]").click()
    return page


def find_client(page: Page, rapport: Rapport, query: str) -> None:
    """Look for clients on the caseload."""
    page.goto(f"{rapport.address}/caseload/")
    page.get_by_role("searchbox").fill(query)
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile("found=1"))


def open_client(page: Page, rapport: Rapport, initials: str) -> str:
    """Go to a client's page from the caseload; returns the client's code."""
    find_client(page, rapport, initials)
    row = page.get_by_role("row").filter(has_text=initials)
    code = re.search(r"[A-Z]{2}-\d{4}", row.inner_text())
    assert code
    row.get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(code[0])
    return code[0]


def open_somebody_to_ask(page: Page, rapport: Rapport, people: Iterable[str]) -> tuple[str, str]:
    """Go to the page of the first of them who may be asked once more; their initials and code."""
    for initials in people:
        code = open_client(page, rapport, initials)
        if not page.get_by_text("5 of at most 5").count():
            return initials, code
    pytest.fail("Each of these clients was asked as often as may be.")


def presses(page: Page) -> int:
    """How often the mouse was pressed in this tab, since it was last asked or since signing in."""
    return int(page.evaluate("[Number(sessionStorage.presses || 0), sessionStorage.clear()][0]"))
