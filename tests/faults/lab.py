"""What the fault tests break: real workers, a real Valkey and a mail server, all their own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import redis
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Client, ContactChannel, Treatment
from apps.core import tenancy
from apps.core.embedded.binaries import valkey_server
from apps.core.models import OutboxMessage
from apps.core.tasks import deliver_due_messages, deliver_message
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire
from apps.therapy_sessions.models import TherapySession
from config.celery import app as celery
from tests.factories import MembershipFactory

State = OutboxMessage.State
CELERY = [sys.executable, "-m", "celery", "--app=config.celery"]
QUIET = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"]


class Mail(NamedTuple):
    """A mail that the mail server took."""

    recipient: str
    message_id: str
    link: str

    @property
    def message(self) -> str:
        """Id of the outbox row, which begins the Message-ID."""
        return self.message_id.strip("<>").partition(".")[0]


class Lab:
    """Use as a context manager: it ends every process that it started."""

    def __init__(self, *, slots: int = 8) -> None:
        self.slots = slots
        self.folder = Path(tempfile.mkdtemp(prefix="rapport-lab-"))
        self.valkey_socket, self.log = self.folder / "valkey.sock", self.folder / "mail.log"
        self.redis_url = f"unix://{self.valkey_socket}"
        self.processes: list[subprocess.Popen[str]] = []
        self.therapists: list[Membership] = []

    def __enter__(self) -> "Lab":
        self.valkey = self.start_valkey()
        self.log.touch()
        self.sink = self._start(
            [sys.executable, "-m", "tests.faults.sink", str(self.log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.sink.stdout
        self.port = int(self.sink.stdout.readline())
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes:
            self.kill(process)

    def broker(self) -> Any:
        """A connection to the lab's own broker."""
        return celery.connection_for_write(f"redis+socket://{self.valkey_socket}")

    # ── Processes ────────────────────────────────────────────────────────────────────────────

    def environment(self) -> dict[str, str]:
        """For workers and web servers: the database of this process, and the lab's own rest."""
        url = urlsplit(os.environ["DATABASE_URL"])
        name = connection.settings_dict["NAME"]
        return os.environ | {
            "DATABASE_URL": urlunsplit(url._replace(path=f"/{name}")),
            "RAPPORT_DATABASE_ROLE": "app",
            "REDIS_URL": self.redis_url,
            "EMAIL_URL": f"smtp://127.0.0.1:{self.port}",
            "ALLOWED_RECIPIENTS": "@mail.example",
            "FEEDBACK_QUIET_HOURS": "false",
            "SECRET_KEY": settings.SECRET_KEY,
            "BASE_URL": settings.BASE_URL,
            "OUTBOX_SLOTS": str(self.slots),
        }

    def start_worker(self, *, concurrency: int = 2) -> subprocess.Popen[str]:
        name = f"--hostname={uuid4().hex}@lab"
        return self._start(
            [*CELERY, "worker", f"--concurrency={concurrency}", name, *QUIET],
            env=self.environment(),
        )

    def start_beat(self) -> subprocess.Popen[str]:
        schedule = f"--schedule={self.folder / uuid4().hex}"
        return self._start(
            [*CELERY, "beat", "--pidfile=", schedule, "--loglevel=WARNING"], env=self.environment()
        )

    def start_web(self) -> str:
        """Start the web server as production runs it; returns its host and port."""
        listening = socket.create_server(("127.0.0.1", 0))
        options = ["--worker-class=gthread", "--workers=2", "--threads=4", "--no-control-socket"]
        self._start(
            [
                *(sys.executable, "-m", "gunicorn", "config.wsgi:application"),
                *(f"--bind=fd://{listening.fileno()}", "--log-level=warning", *options),
            ],
            env=self.environment(),
            pass_fds=[listening.fileno()],
        )
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        listening.close()
        return host

    def start_valkey(self) -> subprocess.Popen[str]:
        program = [str(valkey_server()), "--port", "0", "--unixsocket", str(self.valkey_socket)]
        options = ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
        valkey = self._start([*program, *options], stdout=subprocess.DEVNULL)
        until(self._valkey_answers, "Valkey answers", patience_s=30)
        return valkey

    def _valkey_answers(self) -> bool:
        with (
            suppress(redis.RedisError),
            redis.Redis(unix_socket_path=str(self.valkey_socket)) as server,
        ):
            return bool(server.ping())
        return False

    def flush_valkey(self) -> None:
        with self._valkey() as server:
            server.flushall()

    def _valkey(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.valkey_socket))

    def _start(self, argv: list[str], **how: object) -> subprocess.Popen[str]:
        with (self.folder / "processes.log").open("a") as log:
            streams = {"stdout": log, "stderr": log} | how
            process: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
                argv, cwd=settings.BASE_DIR, text=True, start_new_session=True, **streams
            )
        self.processes.append(process)
        return process

    def kill(self, process: subprocess.Popen[str]) -> None:
        """kill -9 of a process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    # ── Messages ─────────────────────────────────────────────────────────────────────────────

    def requests(self, addresses: list[str]) -> list[OutboxMessage]:
        """A request that is due now, and its message, for each address.

        An address stands for one client; where it comes again, another therapist asks them.
        """
        often = max(Counter(addresses).values())
        first = self.therapists[0] if self.therapists else MembershipFactory.create()
        self.therapists = self.therapists or [first]
        while len(self.therapists) < often:
            self.therapists.append(MembershipFactory.create(practice=first.practice))
        with tenancy.practice(self.practice_id):
            return _requests(self.therapists, addresses)

    def ring(self, messages: list[OutboxMessage]) -> None:
        """Ring the doorbell for each, as a commit does."""
        with self.broker() as broker:
            producer = celery.amqp.Producer(broker)
            for message in messages:
                deliver_message.apply_async(
                    args=(str(message.practice_id), str(message.id)), producer=producer
                )

    def sweep(self) -> None:
        """Ring for the sweep, as the scheduler does every 30 seconds."""
        with self.broker() as broker:
            deliver_due_messages.apply_async(producer=celery.amqp.Producer(broker))

    def warm_up(self) -> None:
        """Wait until the worker has sent its first mail."""
        self.requests(["first@mail.example"])
        self.sweep()
        until(self.is_done, "the worker sends")

    def counts(self) -> dict[str, int]:
        """How many messages of the lab's practice are in each state."""
        with tenancy.practice(self.practice_id), connection.cursor() as cursor:
            cursor.execute("SELECT state, count(*) FROM core_outboxmessage GROUP BY state")
            return dict(cursor.fetchall())

    def is_done(self) -> bool:
        return not {State.PENDING, State.CLAIMED} & set(self.counts())

    def let_time_pass(self, by: timedelta) -> None:
        """Move the clock of all leases and retries on. No sender may be at work meanwhile."""
        with tenancy.practice(self.practice_id), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE core_outboxmessage SET not_before = not_before - %s,"
                " lease_until = lease_until - %s",
                [by, by],
            )

    def mails(self) -> list[Mail]:
        """What the mail server took, in this order."""
        return [Mail(*line.split("\t")) for line in self.log.read_text().splitlines()]

    @property
    def practice_id(self) -> UUID:
        return self.therapists[0].practice_id


def _requests(therapists: list[Membership], addresses: list[str]) -> list[OutboxMessage]:
    practice, now, today = therapists[0].practice, timezone.now(), timezone.localdate()
    questionnaire = practice_questionnaire(practice)
    asked: Counter[str] = Counter()
    treatments = []
    for address in addresses:
        client = Client.objects.create(
            practice=practice, code=uuid4().hex[:20], initials="X", country="GB",
            time_zone="Europe/London", discussed_on=today, consent=Client.Consent.AGREED,
        )  # fmt: skip
        ContactChannel.objects.create(
            practice=practice, client=client, kind="email", address=address, safe_to_contact=True
        )
        therapist = therapists[asked[address]]
        asked[address] += 1
        treatments.append(
            Treatment(practice=practice, client=client, therapist=therapist, starts_on=today)
        )
    sessions = TherapySession.objects.bulk_create(
        TherapySession(
            practice=practice, treatment=treatment, starts_at=now - timedelta(hours=3),
            attendance=TherapySession.Attendance.ATTENDED, logged_at=now,
        )
        for treatment in Treatment.objects.bulk_create(treatments)
    )  # fmt: skip
    requests = FeedbackRequest.objects.bulk_create(
        FeedbackRequest(
            practice=practice, therapy_session=session, questionnaire=questionnaire,
            channel_kind="email", due_at=now, expires_at=now + timedelta(hours=96),
        )
        for session in sessions
    )  # fmt: skip
    return OutboxMessage.objects.bulk_create(
        OutboxMessage(
            practice_id=practice.id, kind="feedback_request", subject_id=request.id,
            not_before=now, due_at=now,
        )
        for request in requests
    )  # fmt: skip


def until(happens: Callable[[], bool], what: str, *, patience_s: float = 60) -> float:
    """Wait for something that must happen and return after how many seconds it did.

    Raises:
        TimeoutError: it did not.
    """
    began = time.monotonic()
    while not happens():
        if time.monotonic() - began > patience_s:
            raise TimeoutError(f"still waiting until {what}")
        time.sleep(0.5)
    return time.monotonic() - began
