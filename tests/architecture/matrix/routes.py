"""The one table of what may be reached: routes, Celery tasks, management commands.

To add a route, add a row under its name. `methods` and `who` always; where the address holds an
id, `kwarg` and `reach`. An id of a new kind is added to `Case.ids` in world.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from apps.accounts.permissions import Permission
from apps.feedback.client_pages import NOT_KEPT
from tests.architecture.matrix.building import ITEMS, NOTED_AT
from tests.architecture.matrix.world import Case, Relation

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
READ = frozenset({"GET", "HEAD"})
WRITE = frozenset({"POST"})
PUBLIC = "public"
SIGNED_IN = "signed in"

OWN = frozenset({Relation.OWN})
SUPERVISED = frozenset({Relation.SUPERVISED, Relation.QUIET})
OF_THE_PRACTICE = frozenset(Relation) - {Relation.FOREIGN, Relation.MISSING}
HELD = frozenset({Relation.HELD, Relation.LEFT})
NOBODY: frozenset[Relation] = frozenset()


class Door(NamedTuple):
    """A way an id gets into a request.

    `how` is "path", "query" or "body", "" where there is none; a wrong id is refused with the
    status `refused`, or is only a filter (0) that must not tell a foreign id from a missing one.
    """

    how: str = ""
    name: str = ""
    refused: int = 404

    def __str__(self) -> str:
        return {"query": f"?{self.name}=", "body": f"body {self.name}="}.get(self.how, "")


@dataclass(frozen=True)
class Route:
    """One declared route.

    Args:
        who: a permission, PUBLIC or SIGNED_IN.
        kwarg: name of the id in the address.
        doors: further ways an id gets in.
        reach: whose objects are opened; `known` says whose get a 403, all others get the 404 of
            an object that is not there.
        client_data: its pages hold clients' data and must never be kept by a browser.
        body: a valid body, with which a POST changes rows and leads on.
        queries: query strings that must not widen what is shown.
        reads: statuses of an allowed read.
        codes: shows the codes of the practice's clients, and nothing else of them.
        codes_of_ended: shows the codes of ended treatments to their therapist and supervisors.
        wrote: statuses of an allowed write.
        once: a link that was answered takes nothing more.
        held_by: the one supervisor whose object it is; '' where any of the therapist's may open it.
        memberless: 403 also for a person without an active membership.
        account: a page of signing in or of one's own account: it shows that account and changes it.
        made_up: ids in its address name nothing of ours.
        before_second_step: also for somebody who must first set up a second step.
        still: why a form that was opened before an event of meanwhile.py may write after it, by
            "person, event".
        answers: statuses of a read and of an empty POST, by how far the person is with signing in
            (`Person.stage`), where no permission decides; "" stands for every other stage.
    """

    methods: frozenset[str]
    who: Permission | str
    kwarg: str = ""
    doors: tuple[Door, ...] = ()
    reach: frozenset[Relation] = NOBODY
    known: frozenset[Relation] = NOBODY
    client_data: bool = False
    body: Callable[[Case], dict[str, Any]] | None = None
    queries: tuple[str, ...] = ()
    reads: frozenset[int] = field(default_factory=lambda: frozenset({200}))
    wrote: frozenset[int] = field(default_factory=lambda: frozenset({302}))
    once: bool = True
    held_by: str = ""
    memberless: bool = True
    account: bool = False
    made_up: bool = False
    before_second_step: bool = False
    answers: dict[str, tuple[int, int]] = field(default_factory=dict)
    codes: bool = False
    codes_of_ended: bool = False
    still: dict[str, str] = field(default_factory=dict)

    def every_door(self) -> tuple[Door, ...]:
        """The address itself first, then the other ways in."""
        return (Door("path", self.kwarg) if self.kwarg else Door(), *self.doors)


def a_series(case: Case) -> dict[str, Any]:
    first = timezone.localdate() + timedelta(days=9)
    when = {"first_on": first.isoformat(), "start": "16:30", "minutes": "50"}
    return when | {"every_weeks": "1", "count": "2"}


def a_client(case: Case) -> dict[str, Any]:
    return {
        "initials": "R. B.", "code": "NEW-1", "language": "en-gb", "country": "GB",
        "time_zone": "Europe/London", "discussed_on": timezone.localdate().isoformat(),
        "consent": "agreed", "email": "rb@mail.example", "email_safe": "yes",
    } | a_series(case)  # fmt: skip


def a_session(case: Case) -> dict[str, Any]:
    return {
        "treatment": case.ids["treatment"], "start": "03:10", "minutes": "50",
        "held_on": (timezone.localdate() - timedelta(days=3)).isoformat(),
        "attendance": "attended", "ask_by": "none", "not_asked_reason": "other",
        "not_asked_note": "She asked us not to",
    }  # fmt: skip


def a_contact(case: Case) -> dict[str, Any]:
    return {"name": "Somebody Else", "phone": "020 7946 0000", "email": "else@fernbank.example"}


def still(*who: str, after: tuple[str, ...], why: str) -> dict[str, str]:
    return {f"{person}, {event}": why for person in who for event in after}


GONE = ("erased", "handed over", "closed")


def nothing(case: Case) -> dict[str, Any]:
    return {}


def details(case: Case) -> dict[str, Any]:
    names = ("initials", "language", "country", "time_zone", "discussed_on", "consent")
    return {name: a_client(case)[name] for name in names}


def a_pause(case: Case) -> dict[str, Any]:
    review_on = timezone.localdate() + timedelta(days=14)
    return {"reason": "In hospital", "review_on": review_on.isoformat()}


ON_CLIENT: dict[str, Any] = {
    "kwarg": "client_id", "reach": OWN, "known": SUPERVISED, "client_data": True
}  # fmt: skip

ON_RECORDS: dict[str, Any] = {
    "who": Permission.KEEP_RECORDS, "kwarg": "client_id", "reach": OWN | HELD,
    "known": SUPERVISED, "client_data": True,
}  # fmt: skip


def a_move(case: Case) -> dict[str, Any]:
    yesterday = timezone.localdate() - timedelta(days=1)
    return {"held_on": yesterday.isoformat(), "start": "04:20", "minutes": "45"}


def a_correction(case: Case) -> dict[str, Any]:
    """Begun a minute ago: a day that leaves the client's open form its time."""
    begun = timezone.localtime() - timedelta(minutes=1)
    start = {"held_on": begun.date().isoformat(), "start": f"{begun:%H:%M}"}
    return a_move(case) | start | {"attendance": "attended", "tension": "1"}


def a_paper(case: Case) -> dict[str, Any]:
    answers = {f"item_{item}": "7" for item in ITEMS}
    return answers | {"filled_in_on": timezone.localdate().isoformat()}


ON_LOGGED: dict[str, Any] = {"kwarg": "logged_id", "reach": OWN, "client_data": True}
ON_EPISODE: dict[str, Any] = {"kwarg": "episode_id", "reach": OWN, "client_data": True}
ON_MEMBER: dict[str, Any] = {"kwarg": "member_id", "reach": OF_THE_PRACTICE}
ON_MEETING: dict[str, Any] = {
    "kwarg": "meeting_id", "reach": OWN | SUPERVISED, "held_by": "supervisor"
}  # fmt: skip
LINKS = frozenset({Relation.LINK, Relation.ANSWERED})


def of_account(who: str, answers: dict[str, tuple[int, int]]) -> Route:
    """A page of signing in or of one's own account; most are django-allauth's."""
    methods = READ if answers[""][1] == 405 else READ | WRITE
    return Route(
        methods,
        who,
        account=True,
        made_up=True,
        answers=answers,
        before_second_step="set-up" in answers,
    )


TO_SIGN_IN = of_account(
    PUBLIC, {"": (200, 200), "code": (302, 302), "set-up": (302, 302), "in": (302, 302)}
)
TO_SIGN_OUT = of_account(PUBLIC, {"": (302, 302), "set-up": (200, 302), "in": (200, 302)})

ROUTES = {
    "home": Route(READ, SIGNED_IN, reads=frozenset({302})),
    "help": Route(READ, SIGNED_IN),
    "health": Route(READ, PUBLIC),
    "login": TO_SIGN_IN,
    "account_login": TO_SIGN_IN,
    "logout": TO_SIGN_OUT,
    "account_logout": TO_SIGN_OUT,
    "account_reset_password": of_account(PUBLIC, {"": (200, 200)}),
    "account_link": of_account(PUBLIC, {"": (404, 404)}),
    "mfa_authenticate": of_account(PUBLIC, {"": (302, 302), "code": (200, 200)}),
    "account_reauthenticate": of_account(SIGNED_IN, {"": (302, 302), "set-up": (200, 200)}),
    "account_change_password": of_account(SIGNED_IN, {"": (200, 200)}),
    "mfa_index": of_account(SIGNED_IN, {"": (200, 405), "set-up": (200, 405)}),
    "mfa_list_webauthn": of_account(SIGNED_IN, {"": (200, 405)}),
    "mfa_reauthenticate": of_account(SIGNED_IN, {"": (200, 200)}),
    "mfa_reauthenticate_webauthn": of_account(SIGNED_IN, {"": (302, 302)}),
    "mfa_activate_totp": of_account(SIGNED_IN, {"": (302, 302), "set-up": (200, 200)}),
    "mfa_deactivate_totp": of_account(SIGNED_IN, {"": (200, 302)}),
    "mfa_add_webauthn": of_account(SIGNED_IN, {"": (200, 200), "set-up": (200, 200)}),
    "mfa_remove_webauthn": of_account(SIGNED_IN, {"": (404, 404)}),
    "mfa_view_recovery_codes": of_account(SIGNED_IN, {"": (200, 405)}),
    "mfa_generate_recovery_codes": of_account(SIGNED_IN, {"": (200, 302)}),
    "kept_draft": of_account(SIGNED_IN, {"": (302, 302)}),
    "switch_practice": Route(
        WRITE, SIGNED_IN, answers={"": (405, 404)}, body=nothing,
        doors=(Door("body", "practice"),),
    ),
    "theme": Route(
        WRITE, SIGNED_IN, memberless=False, before_second_step=True,
        body=lambda case: {"theme": "dark"}, doors=(Door("body", "next", refused=0),),
    ),
    "read_notice": Route(
        WRITE, SIGNED_IN, kwarg="notice_id", reach=OWN | {Relation.FORMER}, body=nothing
    ),
    # Whose it is, tells a signature; tests/accounts/test_digest.py forges it.
    "stop_weekly_mail": Route(READ | WRITE, PUBLIC, made_up=True, answers={"": (404, 404)}),
    "digest": Route(READ | WRITE, SIGNED_IN, body=lambda case: {"wanted": "on"}),
    "caseload": Route(
        READ | WRITE, Permission.VIEW_CASELOAD, client_data=True, body=lambda case: {"q": "qxq"},
        queries=("found=1", "status=possible", "feedback=answered", "page=9"),
        still=still("therapist", after=GONE, why="A search is about no one client."),
    ),
    "client": Route(
        READ, Permission.VIEW_CASELOAD, kwarg="client_id", reach=OWN, known=SUPERVISED,
        client_data=True,
    ),
    "brief": Route(
        READ, Permission.VIEW_CASELOAD, kwarg="client_id", reach=OWN, known=SUPERVISED,
        client_data=True,
    ),
    "move_client": Route(
        READ | WRITE, Permission.VIEW_CASELOAD, kwarg="client_id", reach=OWN, known=SUPERVISED,
        client_data=True,
        body=lambda case: {"step": "fits", "needs": "Evenings", "tried": "Two talks"},
    ),
    "passed_on": Route(
        READ | WRITE, Permission.VIEW_CASELOAD, kwarg="client_id", reach=OWN, client_data=True,
        body=nothing,
    ),
    "close_treatment": Route(
        READ | WRITE, Permission.VIEW_CASELOAD, kwarg="client_id", reach=OWN, known=SUPERVISED,
        client_data=True, body=lambda case: {"how": "agreed"},
    ),
    "ended_treatments": Route(READ, Permission.VIEW_CASELOAD, codes=True, client_data=True),
    "reopen_treatment": Route(
        WRITE, Permission.ADD_CLIENT, kwarg="ending_id", reach=frozenset({Relation.FORMER}),
        client_data=True, body=nothing,
    ),
    "offer": Route(
        READ | WRITE, Permission.VIEW_CASELOAD, body=lambda case: {"has_room": "on"}
    ),
    "day_sheet": Route(
        READ, Permission.VIEW_CASELOAD, client_data=True,
        queries=("day=2026-01-01", "day=yesterday"),
    ),
    "who_looked": Route(
        READ, Permission.VIEW_CASELOAD, kwarg="client_id", reach=OWN, known=SUPERVISED,
        client_data=True,
    ),
    "add_client": Route(
        READ | WRITE, Permission.ADD_CLIENT, body=a_client, client_data=True,
        still=still("therapist", after=GONE, why="It is another client."),
    ),
    "records": Route(READ, **ON_RECORDS),
    "export_records": Route(READ | WRITE, **ON_RECORDS),
    "portable_copy": Route(READ, **ON_RECORDS),
    # Everybody here is treated by somebody now: that therapist acts, not the record holder.
    "act_on_records": Route(
        WRITE, body=lambda case: {"action": "restrict"},
        still=still("record holder", after=("closed",), why="They answer for what has ended."),
        **ON_RECORDS | {"reach": OWN, "known": SUPERVISED | HELD},
    ),
    "erase_texts": Route(READ | WRITE, **ON_RECORDS),
    "left_notes": Route(
        READ | WRITE, Permission.CONFIRM_ERASURE, kwarg="client_id",
        reach=frozenset({Relation.LEFT}), client_data=True,
        body=lambda case: {"reason": "She asked for a copy"},
        still=still(
            "record holder", after=("handed over", "closed"), why="They answer for what has ended."
        ),
    ),
    "take_export": Route(
        READ, Permission.CONFIRM_ERASURE, kwarg="export_id", reach=HELD, client_data=True
    ),
    "keeping": Route(
        READ | WRITE, Permission.MANAGE_PRACTICE, body=lambda case: {"retention_years": "10"}
    ),
    "holds": Route(
        READ | WRITE, Permission.HOLD, codes=True,
        still=still(
            "manager", after=("handed over", "closed"), why="A hold is by code, whoever treats."
        ),
    ),
    "ask_for_export": Route(WRITE, Permission.MANAGE_PRACTICE, body=nothing),
    "erasures": Route(READ, Permission.CONFIRM_ERASURE, codes=True),
    "close_erasure": Route(
        WRITE, Permission.CONFIRM_ERASURE, kwarg="erasure_id", reach=OF_THE_PRACTICE,
        body=lambda case: {"do": "withdraw_the_request"},
        still=still("supervisor", after=("closed",), why="Two people agreed, and nobody treats."),
    ),
    "plan_sessions": Route(
        READ | WRITE, Permission.LOG_SESSION, kwarg="client_id", reach=OWN, known=SUPERVISED,
        client_data=True, body=a_series,
    ),
    "process_note": Route(
        READ | WRITE, Permission.LOG_SESSION, kwarg="session_id", reach=OWN, client_data=True,
        body=lambda case: {"text": "For myself.", "version": NOTED_AT.isoformat()},
    ),
    "change_client": Route(
        READ | WRITE, Permission.ADD_CLIENT, body=details, **ON_CLIENT
    ),
    "pause_asking": Route(WRITE, Permission.ADD_CLIENT, body=a_pause, **ON_CLIENT),
    "end_pause": Route(WRITE, Permission.ADD_CLIENT, body=nothing, **ON_CLIENT),
    "confirm_consent": Route(WRITE, Permission.ADD_CLIENT, body=nothing, **ON_CLIENT),
    "move_session": Route(
        READ | WRITE, Permission.LOG_SESSION, kwarg="session_id", reach=OWN, client_data=True,
        body=a_move,
    ),
    "cancel_session": Route(
        WRITE, Permission.LOG_SESSION, kwarg="session_id", reach=OWN, client_data=True,
        reads=frozenset({302}),
    ),
    "correct_session": Route(
        READ | WRITE, Permission.LOG_SESSION,
        body=a_correction, **ON_LOGGED
    ),
    "undo_log": Route(
        WRITE, Permission.LOG_SESSION, reads=frozenset({302}),
        still=still(
            "therapist", after=("sessions cancelled",), why="What it takes back was corrected."
        ),
        **ON_LOGGED
    ),
    "in_room": Route(READ | WRITE, Permission.LOG_SESSION, body=nothing, **ON_LOGGED),
    "hand_over_device": Route(WRITE, Permission.LOG_SESSION, body=nothing, **ON_LOGGED),
    "send_instead": Route(
        WRITE, Permission.LOG_SESSION, reads=frozenset({302}), **ON_LOGGED
    ),
    "paper": Route(READ | WRITE, Permission.LOG_SESSION, body=a_paper, **ON_LOGGED),
    "log_session": Route(
        READ | WRITE, Permission.LOG_SESSION, reach=OWN, client_data=True,
        doors=(
            Door("query", "session"), Door("query", "client"),
            Door("body", "treatment", refused=200), Door("body", "show treatment", refused=0),
        ),
        body=a_session,
    ),
    "acknowledge_episode": Route(
        WRITE, Permission.REVIEW_EPISODE, body=nothing, **ON_EPISODE
    ),
    "share_episode": Route(WRITE, Permission.REVIEW_EPISODE, body=nothing, **ON_EPISODE),
    "set_sharing": Route(
        WRITE, Permission.REVIEW_EPISODE, body=lambda case: {"share": "on"}, **ON_EPISODE
    ),
    "repair": Route(
        READ | WRITE, Permission.REVIEW_EPISODE,
        body=lambda case: {"version": "1", "note_open": "We talked it over."}, **ON_EPISODE,
    ),
    "set_causes": Route(
        WRITE, Permission.REVIEW_EPISODE, body=lambda case: {"causes": ["boundary"]}, **ON_EPISODE
    ),
    "record_outcome": Route(
        WRITE, Permission.REVIEW_EPISODE, body=lambda case: {"outcome": "repaired"}, **ON_EPISODE
    ),
    "diary": Route(
        READ, Permission.VIEW_CASELOAD, client_data=True,
        queries=("week=2020-01-01", "week=qxq"),
    ),
    "quick_log": Route(
        WRITE, Permission.LOG_SESSION, kwarg="session_id", reach=OWN, client_data=True,
        reads=frozenset({302}),
    ),
    "calendar": Route(
        READ | WRITE, Permission.VIEW_CASELOAD, body=nothing, wrote=frozenset({200})
    ),
    "close_calendar": Route(WRITE, Permission.VIEW_CASELOAD, reads=frozenset({302})),
    "calendar_file": Route(READ, PUBLIC, made_up=True, answers={"": (404, 405)}),
    "write_support": Route(
        WRITE, Permission.MEET, kwarg="episode_id", reach=OWN | {Relation.SUPERVISED},
        client_data=True, body=lambda case: {"text": "How would you open it?"},
    ),
    "meetings": Route(READ, Permission.MEET),
    "plan_meeting": Route(
        READ | WRITE, Permission.SUPERVISE, doors=(Door("query", "with", refused=0),)
    ),
    "meeting": Route(
        READ | WRITE, Permission.MEET, client_data=True,
        body=lambda case: {"version": "1", "notes": "Pace"}, codes_of_ended=True,
        still=still(
            "therapist", "supervisor", after=GONE, why="What two write of it is no client's."
        ),
        **ON_MEETING
    ),
    "send_agenda": Route(
        WRITE, Permission.SUPERVISE, body=nothing, **ON_MEETING | {"reach": SUPERVISED}
    ),
    "decide": Route(
        WRITE, Permission.MEET, client_data=True,
        body=lambda case: {"text": "Go slower.", "episode": case.ids["shown_episode"]},
        **ON_MEETING
    ),
    "mark_decision_done": Route(
        WRITE, Permission.MEET, client_data=True, body=nothing,
        **ON_MEETING | {"kwarg": "decision_id"}
    ),
    "supervision": Route(
        READ, Permission.SUPERVISE, client_data=True, queries=("why=shared", "why=waited"),
        doors=(Door("query", "supervisee", refused=0),),
    ),
    "supervised_episode": Route(
        READ, Permission.SUPERVISE, kwarg="episode_id", reach=frozenset({Relation.SUPERVISED}),
        client_data=True,
    ),
    "practice": Route(READ | WRITE, Permission.MANAGE_PRACTICE, body=a_contact),
    "practice_overview": Route(READ, Permission.MANAGE_PRACTICE),
    "rules": Route(READ, Permission.MANAGE_PRACTICE),
    # With the matrix' few ratings there is nothing to estimate: it leads back, and changes nothing.
    "propose_norms": Route(WRITE, Permission.MANAGE_PRACTICE, reads=frozenset({302})),
    "decide_rule": Route(WRITE, Permission.MANAGE_PRACTICE),
    "delivery": Route(READ, Permission.MANAGE_PRACTICE),
    "own_delivery": Route(READ, Permission.VIEW_CASELOAD),
    "people": Route(READ, Permission.MANAGE_PRACTICE),
    "invite_member": Route(READ | WRITE, Permission.MANAGE_PRACTICE),
    "member": Route(READ | WRITE, Permission.MANAGE_PRACTICE, **ON_MEMBER),
    "invite_again": Route(
        WRITE, Permission.MANAGE_PRACTICE, reads=frozenset({302}), **ON_MEMBER
    ),
    "deactivate_member": Route(WRITE, Permission.MANAGE_PRACTICE, body=nothing, **ON_MEMBER),
    # Everybody of the matrix' world is here: there is no place to open, and it leads back.
    "reactivate_member": Route(
        WRITE, Permission.MANAGE_PRACTICE, reads=frozenset({302}), **ON_MEMBER
    ),
    "hand_over": Route(READ | WRITE, Permission.MANAGE_PRACTICE, codes=True, **ON_MEMBER),
    "add_supervision": Route(READ | WRITE, Permission.MANAGE_PRACTICE),
    "end_supervision": Route(
        READ | WRITE, Permission.MANAGE_PRACTICE, kwarg="supervision_id", reach=OF_THE_PRACTICE
    ),
    "feedback_form": Route(
        READ | WRITE, PUBLIC, kwarg="token", reach=LINKS, client_data=True,
        reads=frozenset({200, NOT_KEPT}), body=lambda case: {f"item_{item}": "7" for item in ITEMS},
    ),
    "feedback_thanks": Route(
        READ, PUBLIC, kwarg="token", reach=LINKS, client_data=True, reads=frozenset({200, 302})
    ),
    "feedback_fresh": Route(
        WRITE, PUBLIC, kwarg="token", reach=LINKS, client_data=True, reads=frozenset({200})
    ),
    "feedback_stop": Route(
        READ | WRITE, PUBLIC, kwarg="token", reach=LINKS, client_data=True,
        body=lambda case: {"how": "stop"}, once=False,
    ),
    "unknown_link": Route(frozenset(METHODS), PUBLIC, reads=frozenset({404})),
    # Who reports is told by a signature; tests/core/test_hooks.py forges them.
    "email_report": Route(READ | WRITE, PUBLIC, made_up=True, answers={"": (200, 403)}),
    "text_report": Route(WRITE, PUBLIC, made_up=True, answers={"": (405, 403)}),
    "dev_outbox": Route(READ, PUBLIC),
    "dev_text_gateway": Route(WRITE, PUBLIC, made_up=True, answers={"": (405, 403)}),
    "styleguide": Route(READ, PUBLIC),
}  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A Celery task: it takes ids and nothing else."""

    ids: tuple[str, ...] = ()


TASKS = {
    "apps.accounts.tasks.forget_ended_sessions": Task(),
    "apps.accounts.tasks.mail_password_reset": Task(("user_id",)),
    "apps.accounts.tasks.send_digests": Task(),
    "apps.core.tasks.deliver_message": Task(("practice_id", "message_id")),
    "apps.core.tasks.deliver_due_messages": Task(),
    "apps.core.tasks.seal_audit_trail": Task(),
    "apps.exchange.tasks.propose_erasures": Task(),
    "apps.feedback.tasks.expire_feedback_requests": Task(),
    "apps.ruptures.tasks.move_episodes_on": Task(),
    "apps.ruptures.tasks.replay_rule_change": Task(("practice_id", "change_id")),
}


@dataclass(frozen=True)
class Command:
    """A management command of ours: the database role it acts as, and whether it prints ratings."""

    role: str
    shows_client_data: bool


COMMANDS = {
    "add_member": Command("migrator", shows_client_data=False),
    "check_encryption": Command("migrator", shows_client_data=False),
    "create_practice": Command("migrator", shows_client_data=False),
    "evaluate_detection": Command("migrator", shows_client_data=False),
    "import_ratings": Command("migrator", shows_client_data=False),
    "pause_sending": Command("migrator", shows_client_data=False),
    "release_sending": Command("migrator", shows_client_data=False),
    "replay": Command("migrator", shows_client_data=False),
    "reset_second_step": Command("migrator", shows_client_data=False),
    "revoke_links": Command("migrator", shows_client_data=False),
    "rotate_keys": Command("migrator", shows_client_data=False),
    "screen": Command("migrator", shows_client_data=True),
    "seed_demo": Command("migrator", shows_client_data=False),
    "show_locale": Command("migrator", shows_client_data=False),
    "verify_audit": Command("migrator", shows_client_data=False),
}


def urls(resolver: URLResolver | None = None) -> Iterator[tuple[str, URLPattern]]:
    """Name and pattern of every route, however deep."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLPattern):
            yield pattern.name or str(pattern.pattern), pattern
        else:
            yield from urls(pattern)
