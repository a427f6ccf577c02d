"""Faults of the senders, each at any size: small in `make test`, in full by `make faults`.

Each returns what was tried and lost and whether the promise held; the numbers are those of the
design of reliability. `within_s` bounds the time that the report names: it is given at full size
alone, as a small run shares its machine and is judged by counts and by what came before what.
"""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from functools import partial
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from apps.alliance.models import AllianceRating
from apps.core import tenancy
from apps.core.models import OutboxMessage
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import AlreadyAnswered, submit_response
from apps.feedback.timing import due_at
from tests.core import test_hooks
from tests.faults.lab import Lab, Mail, until

State = OutboxMessage.State
ITEMS = ("heard", "accepted", "matters", "direction", "suited", "helpful")


@dataclass(frozen=True)
class Result:
    """One line of the report; `seconds` is what `which` names."""

    fault: str
    tried: int
    lost: int
    doubled: int
    seconds: float
    which: str
    held: bool

    def __str__(self) -> str:
        held = "held" if self.held else "NOT HELD"
        return (
            f"{self.fault:<58} tried {self.tried:>6}  lost {self.lost:>3}"
            f"  doubled {self.doubled:>4}  {self.seconds:>6.1f} s {self.which:<28} {held}"
        )


def addresses(count: int, kind: str = "") -> list[str]:
    """Addresses of up to a hundred clients; the same ones come again."""
    return [f"{kind}k{n % 100}@mail.example" for n in range(count)]


def lost_and_doubled(messages: list[OutboxMessage], mails: list[Mail]) -> tuple[int, int]:
    """How many messages never arrived, and how many mails were one too many."""
    arrived = Counter(mail.message for mail in mails)
    lost = sum(str(message.id) not in arrived for message in messages)
    return lost, sum(arrived.values()) - len(arrived)


def has_one_link_each(mails: Iterable[Mail]) -> bool:
    """Whether all copies of a message carry the same link and Message-ID."""
    seen: dict[str, Mail] = {}
    return all(seen.setdefault(mail.message, mail) == mail for mail in mails)


def f1_killed_workers(
    lab: Lab, *, messages: int, kills: int, ages: bool = False, within_s: float = math.inf
) -> Result:
    """kill -9 of the worker and its processes, again and again, while messages go out.

    Args:
        ages: let the leases of a killed worker run out at once instead of waiting for a minute.
    """
    sent = lab.requests(addresses(messages))
    lab.ring(sent)
    concurrency = 2
    for n in range(1, kills + 1):
        worker = lab.start_worker(concurrency=concurrency)
        lab.sweep()
        until(
            lambda n=n: lab.counts().get(State.SENT, 0) >= messages * n / (kills + 1),  # type: ignore[misc]
            "messages go out",
            patience_s=120,
        )
        lab.kill(worker)
        if ages:
            lab.let_time_pass(OutboxMessage.LEASE)
    lab.start_worker(concurrency=concurrency)
    if ages:
        lab.sweep()
    else:
        lab.start_beat()
    seconds = until(lab.is_done, "all messages are out", patience_s=300)
    lost, doubled = lost_and_doubled(sent, lab.mails())
    twice = _answered_twice(lab)
    held = not (lost or twice) and doubled <= kills * concurrency * lab.slots
    held = held and has_one_link_each(lab.mails()) and seconds <= within_s
    return Result(
        f"F1 {kills} × kill -9 of the worker, {twice} doubled responses",
        messages, lost, doubled, seconds, "to the end after the last", held,
    )  # fmt: skip


def _answered_twice(lab: Lab) -> int:
    """Answer every mail that arrived twice from both of its copies; returns ratings too many."""
    copies = Counter(mail.message for mail in lab.mails())
    doubled = [message for message, count in copies.items() if count > 1]
    with tenancy.practice(lab.practice_id):
        asked = list(
            OutboxMessage.objects.filter(id__in=doubled).values_list("subject_id", flat=True)
        )
        for request_id in asked * 2:
            try:
                submit_response(request_id=request_id, answers=dict.fromkeys(ITEMS, 7))
            except AlreadyAnswered:
                continue
        ratings = AllianceRating.objects.filter(feedback_request__in=asked).count()
    return ratings - len(asked)


def f2_lost_redis(
    lab: Lab,
    *,
    messages: int,
    kills: int,
    flushes: int,
    away_s: float,
    beat: bool = True,
    within_s: float = math.inf,
) -> Result:
    """Valkey is killed, emptied, and stays away; what waits goes out once it is back.

    A worker that loses its broker may end itself; it is started again, as launcher and compose do.

    Args:
        beat: let the scheduler ring for the sweep; else it is rung for as soon as Valkey is back.
    """
    sent = lab.requests(addresses(messages))
    lab.ring(sent)
    workers = [lab.start_worker()]
    if beat:
        lab.start_beat()

    def attended(happened: bool) -> bool:
        if workers[-1].poll() is not None:
            workers.append(lab.start_worker())
        return happened

    events = ["flush"] * flushes + ["kill"] * (kills - 1)
    random.Random(2).shuffle(events)
    # The last kill is the long one: whatever waits then must drain afterwards.
    for n, event in enumerate([*events, "kill"], start=1):
        target = messages * n / (2 * (kills + flushes))
        until(
            lambda target=target: attended(  # type: ignore[misc]
                lab.counts().get(State.SENT, 0) >= target
            ),
            "messages go out",
            patience_s=120,
        )
        if event == "flush":
            lab.flush_valkey()
        else:
            lab.kill(lab.valkey)
            time.sleep(away_s if n == kills + flushes else 0.2)
            lab.valkey = lab.start_valkey()
        if not beat:
            lab.sweep()
    left = messages - lab.counts().get(State.SENT, 0)
    seconds = until(lambda: attended(lab.is_done()), "all messages are out", patience_s=300)
    lost, doubled = lost_and_doubled(sent, lab.mails())
    restarts = f", worker restarted {len(workers) - 1} ×" if len(workers) > 1 else ""
    return Result(
        f"F2 {kills} × kill -9 of Valkey, {flushes} × FLUSHALL, {away_s:.0f} s away",
        messages, lost, doubled, seconds, f"to drain {left} on its return{restarts}",
        not (lost or doubled) and seconds <= within_s,
    )  # fmt: skip


SWEEP_EVERY_S = 30
"""As the scheduler does."""


def f7_bad_mail_server(
    lab: Lab, *, messages: int, hanging: int, within_s: float = math.inf
) -> list[Result]:
    """A mail server that hangs, refuses for now and for good, breaks off, hangs up after DATA.

    Args:
        within_s: how long a slot may hang.
    """
    kinds = {
        "hang-": hanging,
        "busy-": 5,
        "no-": 5,
        "reset-": 5,
        "once-": max(1, messages // 20),
    }
    lab.start_worker()
    lab.warm_up()
    sent = {kind: lab.requests(addresses(count, kind)) for kind, count in kinds.items()}
    sent[""] = lab.requests(addresses(messages))
    began = time.monotonic()
    lab.sweep()
    good = {str(message.id) for message in sent[""]}
    took: dict[str, float] = {}
    rings = 1

    def all_tried() -> bool:
        nonlocal rings
        now = time.monotonic() - began
        if good <= {mail.message for mail in lab.mails()}:
            took.setdefault("good", now)
        if _tried(lab, sent["hang-"]):
            took.setdefault("hang", now)
        if now > rings * SWEEP_EVERY_S:
            rings += 1
            lab.sweep()
        return len(took) == 2

    until(all_tried, "good addresses have their mail, hanging ones are given up", patience_s=180)
    good_s, hang_s = took["good"], took["hang"] / -(-hanging // lab.slots)
    states = {kind: Counter(_states(lab, rows)) for kind, rows in sent.items()}
    doubtful = sent["once-"]
    assert states["once-"] == {State.UNCERTAIN: len(doubtful)}, states
    lab.let_time_pass(OutboxMessage.HOLD)
    lab.sweep()
    until(lambda: set(_states(lab, doubtful)) == {State.SENT}, "doubts are over", patience_s=60)
    lost, doubled = lost_and_doubled(sent[""] + doubtful, lab.mails())
    later = {State.PENDING: 5}
    return [
        Result("F7 hanging server, others beside it", messages + hanging, lost, 0, good_s,
               "until all others are out", lost == 0),
        Result("F7 hanging server, one slot", hanging, 0, 0, hang_s,
               f"a slot hangs at most ({within_s:g})",
               states["hang-"] == {State.PENDING: hanging} and hang_s <= within_s),
        Result("F7 450, 550 and a reset in DATA: later, failed, later", 15, 0, 0, 0, "",
               states["busy-"] == states["reset-"] == later
               and states["no-"] == {State.FAILED: 5}),
        Result("F7 hangs up after DATA: once more, same link", len(doubtful), lost, doubled, 0, "",
               lost == 0 and doubled == len(doubtful) and has_one_link_each(lab.mails())),
    ]  # fmt: skip


def _states(lab: Lab, messages: list[OutboxMessage]) -> list[str]:
    with tenancy.practice(lab.practice_id):
        return list(
            OutboxMessage.objects.filter(id__in=[each.id for each in messages]).values_list(
                "state", flat=True
            )
        )


def _tried(lab: Lab, messages: list[OutboxMessage]) -> bool:
    with tenancy.practice(lab.practice_id):
        return not OutboxMessage.objects.filter(
            id__in=[each.id for each in messages], attempts=0
        ).exists()


def f8_one_bad_address(lab: Lab, *, messages: int, within_s: float = math.inf) -> Result:
    """One address hangs, the first of all; all others are out before it is given up."""
    lab.start_worker()
    lab.warm_up()
    bad = lab.requests(addresses(1, "hang-"))
    good = lab.requests(addresses(messages - 1))
    began = time.monotonic()
    lab.sweep()
    ids = {str(message.id) for message in good}
    until(lambda: ids <= {mail.message for mail in lab.mails()}, "the others have their mail")
    seconds = time.monotonic() - began
    hangs = _states(lab, bad) == [State.CLAIMED]
    lost, doubled = lost_and_doubled(good, lab.mails())
    return Result("F8 one bad address among others", messages, lost, doubled, seconds,
                  "until all others are out",
                  hangs and not (lost or doubled) and seconds <= within_s)  # fmt: skip


def f9_webhooks(*, messages: int, times: int) -> Result:
    """Each report ten times, shuffled, with forged ones between: one transition a message."""
    rows = [test_hooks.put(channel=channel) for channel in ("email", "text") * (messages // 2)]
    test_hooks.told.clear()
    reports: list[Callable[[], int]] = []
    for row in rows:
        if row.channel == "email":
            genuine = partial(test_hooks.bounce, row)
            forged = partial(test_hooks.bounce, row, key="forged")
        else:
            genuine = partial(test_hooks.by_text, row, "undelivered")
            forged = partial(test_hooks.by_text, row, "undelivered", token="forged")
        reports += [genuine, forged] * times
    # Of the last message only forged reports come.
    reports = [each for each in reports if each.args[0] is not rows[-1] or each.keywords]  # type: ignore[attr-defined]
    random.Random(9).shuffle(reports)
    began = time.monotonic()
    answers = Counter(report() for report in reports)
    seconds = time.monotonic() - began
    told = Counter(subject for subject, _ in test_hooks.told)
    missed = {row.subject_id for row in rows[:-1]} ^ set(told)
    return Result(
        f"F9 reports × {times}, shuffled, {answers[403]} forged: {len(told)} transitions",
        len(reports), len(missed), sum(told.values()) - len(told), seconds, "in all",
        not missed and set(told.values()) == {1} and answers.keys() == {204, 403},
    )  # fmt: skip


def f10_clocks(*, zones: Iterable[str], years: Iterable[int]) -> Result:
    """Around every change of every clock: nothing early, nothing in quiet hours."""
    quiet, delay = (clock(21), clock(8)), timedelta(hours=2)
    began, tried, wrong = time.monotonic(), 0, 0
    for name in zones:
        zone = ZoneInfo(name)
        for change in _changes(zone, years):
            for hours in range(-36, 37):
                ends = change + timedelta(hours=hours)
                due = due_at(ends, time_zone=name, delay=delay, quiet_hours=quiet)
                local = due.astimezone(zone).time()
                tried += 1
                wrong += due < ends + delay or not quiet[1] <= local < quiet[0]
                # Eleven quiet hours, and two by which Antarctica/Troll puts its clocks back.
                wrong += due > ends + delay + timedelta(hours=13)
    return Result("F10 every change of clocks: early, late or quiet-hour sends", tried, wrong, 0,
                  time.monotonic() - began, "in all", tried > 0 and not wrong)  # fmt: skip


def _changes(zone: ZoneInfo, years: Iterable[int]) -> Iterator[datetime]:
    """Noon of each day on which the zone's offset differs from the day before."""
    for year in years:
        noon = datetime(year, 1, 1, 12, tzinfo=UTC)
        while noon.year == year:
            after = noon + timedelta(days=1)
            if after.astimezone(zone).utcoffset() != noon.astimezone(zone).utcoffset():
                yield after
            noon = after


def f11_many_at_once(lab: Lab, *, threads: int, links: int) -> Result:
    """Everybody answers every link at the same moment: one rating a link, no server error."""
    sent = lab.requests(addresses(links))
    lab.start_worker()
    lab.sweep()
    until(lab.is_done, "the links are out", patience_s=120)
    host = lab.start_web()
    until(lambda: _get(host, "/healthz/") == 200, "the web server answers")
    paths = [urlsplit(mail.link).path for mail in lab.mails()]
    began = time.monotonic()

    def answer(number: int) -> Counter[int]:
        statuses: Counter[int] = Counter()
        mine = paths[number % links :] + paths[: number % links]
        for path in mine:
            statuses[_post(host, path)] += 1
        return statuses

    with ThreadPoolExecutor(threads) as people:
        statuses = sum(people.map(answer, range(threads)), Counter[int]())
    seconds = time.monotonic() - began
    errors = sum(count for status, count in statuses.items() if status >= 500 or status == 0)
    with tenancy.practice(lab.practice_id):
        ids = [message.subject_id for message in sent]
        answered = FeedbackRequest.objects.filter(id__in=ids, rating__isnull=False).count()
    return Result(
        f"F11 {threads} threads × {links} links: {answered} ratings, {errors} server errors",
        sum(statuses.values()), links - answered, 0, seconds, "in all",
        answered == links and errors == 0 and statuses[302] == links,
    )  # fmt: skip


def _get(host: str, path: str, method: str = "GET") -> int:
    connection = HTTPConnection(host, timeout=60)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def _post(host: str, path: str) -> int:
    body = urlencode({f"item_{item}": "7" for item in ITEMS})
    connection = HTTPConnection(host, timeout=60)
    try:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, body, kind)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def f13_too_many(lab: Lab, *, messages: int, beats: int, senders: int) -> Result:
    """Two schedulers and eight senders, and bells rung thrice: every message goes out once."""
    sent = lab.requests(addresses(messages))
    for _ in range(beats):
        lab.start_beat()
    for _ in range(senders // 2):
        lab.start_worker(concurrency=2)
    for _ in range(3):
        lab.ring(sent)
        lab.sweep()
        lab.sweep()
    seconds = until(lab.is_done, "all messages are out", patience_s=180)
    time.sleep(2)
    lost, doubled = lost_and_doubled(sent, lab.mails())
    return Result(f"F13 {beats} schedulers, {senders} senders, bells rung thrice", messages, lost,
                  doubled, seconds, "to the end", not (lost or doubled))  # fmt: skip


def f18_scanners(
    lab: Lab, *, links: int, times: int, browse: Callable[[str], None] | None = None
) -> Result:
    """Scanners open every link again and again, some with a browser that runs scripts."""
    lab.requests(addresses(links))
    lab.start_worker()
    lab.sweep()
    until(lab.is_done, "the links are out", patience_s=120)
    host = lab.start_web()
    until(lambda: _get(host, "/healthz/") == 200, "the web server answers")
    paths = [urlsplit(mail.link).path for mail in lab.mails()]
    asked = [(method, path) for path in paths for method in ("GET", "HEAD", "OPTIONS")] * times
    began = time.monotonic()
    with ThreadPoolExecutor(8) as scanners:
        statuses = Counter(scanners.map(lambda each: _get(host, each[1], each[0]), asked))
    for path in paths:
        if browse:
            browse(f"http://{host}{path}")
    seconds = time.monotonic() - began
    with tenancy.practice(lab.practice_id):
        lost = FeedbackRequest.objects.exclude(state=FeedbackRequest.State.OPEN).count()
    still = sum(_post(host, path) == 302 for path in paths)
    errors = sum(count for status, count in statuses.items() if status >= 500 or status == 0)
    return Result(
        f"F18 scanners{' and a browser' if browse else ''}: {still} of {links} links work after",
        len(asked), lost, 0, seconds, "in all", not (lost or errors) and still == links,
    )  # fmt: skip
