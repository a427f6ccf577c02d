"""Every component in every state, with invented data. Routed in development only."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from uuid import UUID

from django import forms
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.accounts.notices import Said, ShownNotice
from apps.core.templatetags.rapport import NOTE_ICONS, PILLS
from apps.core.widgets import DetailedCheckboxSelectMultiple, DetailedRadioSelect, OptionDetail
from apps.dashboard.bars import bar_chart
from apps.dashboard.chart_parts import ChartEpisode, ChartSession, Sparkline
from apps.dashboard.chart_text import alliance_chart, labelled_sparkline
from apps.dashboard.selectors.contact import ContactNews
from apps.dashboard.styleguide_work import work_parts

FIRST_DAY = date(2026, 7, 23)
DEGREES = ("none", "slight", "some", "strong", "very strong")


@dataclass(frozen=True)
class Shown:
    """Anything with the attributes a component asks for."""

    url: str = "#"
    code: str = "RA-0142"
    initials: str = "K. M."
    status: str = "marked"
    label: str = ""
    count: int = 0
    current: bool = False
    reason: str = "Client reported strong tension, partly sorted out."
    next_reason: str = "Rated 62; usually 82–95, from 15 earlier ratings."
    sparkline: Sparkline | None = None
    latest: str = "62"
    latest_note: str = "usual 82–95"
    below: bool = True
    age: str = "Opened today, 10:58"
    next_session: str = "Next session Thu 26 Nov, 10:00"
    acknowledge_url: str = "#"
    fall: str = ""
    waiting: str = "7 days"
    therapist: str = "Priya Raman"
    via: str = "Marked on 12 Nov"
    asked: str = ""
    name: str = "Hana Lindqvist"
    since: str = "Supervised by you since 3 Feb 2025"
    episodes: tuple["Shown", ...] = ()
    other_codes: tuple[str, ...] = ()
    date: str = ""
    number_label: str = ""
    node: str = ""
    title: str = ""
    detail: str = ""
    comment: str = ""
    note: str = ""
    prompt: str = ""
    state: str = ""
    starts_at: str = ""
    starts_iso: str = ""
    about: str = ""
    logged: bool = False
    now: bool = False
    log_url: str = "#"
    brief_url: str = "#"
    number: str = ""
    href: str = "#"
    phone: str = ""
    phone_href: str = ""
    email: str = ""


class ExampleForm(forms.Form):
    """Each kind of field, once as it starts and once as it comes back with errors."""

    code = forms.CharField(label="Client code", help_text="Used everywhere outside your own pages.")
    mobile = forms.RegexField(
        r"^\d{11}$",
        label="Mobile number",
        error_messages={"invalid": "This number is two digits short. Check it with your client."},
    )
    channel = forms.ChoiceField(
        label="Sends by", choices=[("text", "Text message"), ("email", "Email")], required=False
    )
    attendance = forms.ChoiceField(
        label="Attendance",
        choices=[
            ("attended", "Attended"),
            ("late", "Client cancelled late"),
            ("no_show", "No-show"),
            ("own", "You cancelled"),
        ],
        widget=DetailedRadioSelect(
            details={
                "attended": OptionDetail(icon="person-check"),
                "late": OptionDetail(icon="calendar-x"),
                "no_show": OptionDetail(icon="person-dash"),
                "own": OptionDetail(icon="calendar2-minus"),
            }
        ),
        error_messages={"required": "Choose how the session went. Nothing else is required."},
    )
    bond = forms.TypedChoiceField(
        label="Bond. How connected did it feel between you?",
        choices=[(n, str(n)) for n in range(11)],
        coerce=int,
        widget=forms.RadioSelect,
        required=False,
    )
    tension = forms.TypedChoiceField(
        label="Did you notice any tension?",
        help_text="Small moments count. Untouched means unanswered, not “none”.",
        choices=list(enumerate(DEGREES)),
        coerce=int,
        widget=forms.RadioSelect,
        required=False,
    )
    sorted_out = forms.TypedChoiceField(
        label="How far was it sorted out by the end?",
        choices=list(enumerate(("not at all", "a little", "partly", "mostly", "fully"))),
        coerce=int,
        widget=forms.RadioSelect,
        required=False,
    )
    ask = forms.ChoiceField(
        label="How to ask for feedback",
        choices=[
            ("text", "Link by text message"),
            ("room", "In the room"),
            ("no", "Not this time"),
        ],
        widget=DetailedRadioSelect(
            details={
                "text": OptionDetail("Sent 2 h after the end, at 14:20."),
                "room": OptionDetail("QR code or this device, for 15 minutes."),
                "no": OptionDetail("Needs a reason.", css_class="rp-trigger"),
            }
        ),
    )
    parts = forms.MultipleChoiceField(
        label="Did any of these play a part?",
        choices=[
            ("misunderstanding", "We misunderstood each other"),
            ("boundary", "Something felt too personal or crossed a line"),
            ("life", "Something changed in my life"),
        ],
        widget=DetailedCheckboxSelectMultiple(
            details={"boundary": OptionDetail("Your therapist will see this.")}
        ),
        required=False,
    )
    comment = forms.CharField(
        label="Anything you want to add?", widget=forms.Textarea({"rows": 2}), required=False
    )
    share = forms.BooleanField(label="Share my notes", required=False)


def course(
    pomps: list[float | None],
    usual: tuple[float, float] = (76, 93),
    *,
    episode: range = range(0),
    events: dict[int, str] | None = None,
) -> list[ChartSession]:
    """An invented course of weekly sessions, numbered from 1."""
    return [
        ChartSession(
            number=n,
            held_on=FIRST_DAY + timedelta(weeks=n - 1),
            pomp=pomp,
            therapist_pomp=None if pomp is None else min(100, pomp - 6 + 3 * (n % 5)),
            low=usual[0] - 4 + min(n, 10) * 0.6,
            high=usual[1] + min(n, 10) * 0.2,
            bond=None if pomp is None else min(100, pomp + (n % 3) * 2 - 3),
            goals=None if pomp is None else min(100, pomp + 3 - (n % 4)),
            tasks=None if pomp is None else min(100, pomp + (n % 2) * 4 - 2),
            in_episode=n in episode,
            event=(events or {}).get(n),  # type: ignore[arg-type]
        )
        for n, pomp in enumerate(pomps, start=1)
    ]


def full_course() -> tuple[list[ChartSession], list[ChartEpisode]]:
    """Eighteen sessions: forming, a repaired episode, both kinds of gap, an open episode."""
    sessions = course(
        [80, 82, 83, 85, 85, None, 87, 85, 72, 75, 85, 87, 88, None, 90, 90, 90, 62],
        events={9: "opened", 10: "continues", 11: "repaired", 18: "opened"},
    )
    sessions[5] = replace(sessions[5], held=False, note="Cancelled late by the client")
    return sessions, [
        ChartEpisode(9, 12, "repaired", "Possible rupture", "Repaired 8 Oct"),
        ChartEpisode(18, None, "open", "Opened today"),
    ]


def courses() -> dict[str, tuple[list[ChartSession], list[ChartEpisode]]]:
    """One course for each state a row or chart can be in, by status."""
    falling: list[float | None] = [83, 82, 85, 87, 83, 88, 87, 63, 72, 85]
    silent: list[float | None] = [88, 90, None, 88, 92, 90, 90, None, None, None]
    return {
        "marked": full_course(),
        "recovering": (
            course(falling, events={8: "opened", 10: "repaired"}),
            [ChartEpisode(8, None, "recovering", "Possible rupture", "Recovering")],
        ),
        "repaired": (
            course([75, 78, 77, 60, 58, 73, 77, 80, 78, 82], (70, 83), events={4: "opened"}),
            [ChartEpisode(4, 7, "repaired", "Possible rupture", "Repaired 3 Sep")],
        ),
        "watch": (course(silent, (83, 98)), []),
        "none": (course([83, 85, 87, 85, 88, 87, 85, 88, 90, 87], (81, 93)), []),
        "little_room": (course([98, 100, 98, 100, 100, 100, 100, 100, 100, 100], (93, 99)), []),
        "baseline_forming": (course([77, 80]), []),
    }


def _attention() -> list[Shown]:
    rows = courses()
    spark = {status: labelled_sparkline(*rows[status], width=250, height=84) for status in rows}
    return [
        Shown(sparkline=spark["marked"]),
        Shown(
            initials="T. A.",
            code="RA-0117",
            status="recovering",
            reason="Back in the usual range since 12 Nov; no outcome recorded yet.",
            next_reason="",
            sparkline=spark["recovering"],
            latest="85",
            latest_note="usual 76–91",
            below=False,
            acknowledge_url="",
        ),
        Shown(
            initials="E. S.",
            code="RA-0171",
            status="watch",
            reason="No answer to this form; 11 of 14 earlier forms were answered.",
            next_reason="No direct information",
            sparkline=spark["watch"],
            latest="90",
            latest_note="last, 28 Oct",
            below=False,
            next_session="",
        ),
    ]


@require_safe
@login_not_required
def styleguide(request: HttpRequest) -> HttpResponse:
    """Show each component in each state; charts by ?course=<status>."""
    rows = courses()
    chosen = request.GET.get("course", "marked")
    chart_of = rows.get(chosen, ([], []))
    sparks = {status: labelled_sparkline(*row) for status, row in rows.items()}
    context = {
        "pills": list(PILLS),
        "note_kinds": list(NOTE_ICONS),
        "chart": alliance_chart("RA-0142", *chart_of),
        "courses": [
            Shown(url=f"?course={s}", label=s, current=s == chosen) for s in [*rows, "empty"]
        ],
        "rows": [Shown(status=status, sparkline=spark) for status, spark in sparks.items()],
        "attention": _attention(),
        "queue": [
            Shown(sparkline=sparks["marked"]),
            Shown(
                sparkline=sparks["recovering"],
                status="recovering",
                asked="Asked for you, 18 Nov",
                via="Shared by Jonas",
            ),
        ],
        "supervisee": Shown(
            episodes=(Shown(sparkline=sparks["marked"], via="Marked today"),),
            other_codes=("RA-0098", "RA-0109", "RA-0120"),
        ),
        "quiet_supervisee": Shown(name="Tomás Ferreira", other_codes=("RA-0302",)),
        **_small_parts(),
        **work_parts(),
    }
    return render(request, "dashboard/styleguide.html", context)


def _small_parts() -> dict[str, object]:
    bound = ExampleForm({"code": "RA-0150", "mobile": "07700 9004", "bond": "7", "tension": "3"})
    return {
        "form": ExampleForm(auto_id="new_%s"),
        "bound_form": bound,
        "page": Paginator(range(1, 25), 12).page(1),
        "filters": [
            Shown(label="All", count=24, current=True),
            Shown(label="Watch", count=3),
            Shown(label="No flag", count=12),
        ],
        "facts": [("Treatment", "CBT, since 23 Jul"), ("Safe to contact", "Text and email")],
        "speaks_for": ("Client reported strong tension, partly sorted out.",),
        "speaks_against": ("You did not notice tension.", "Form returned, as usual."),
        "unknown": ("You did not say how you saw the session.",),
        "aside": ("Bond was rated lowest of the three: Bond 55, Goals 80, Tasks 75.",),
        "notices": [
            ShownNotice(UUID(int=0), Said("K. M. RA-0142: the client stopped messages.", "#")),
            ShownNotice(UUID(int=1), Said("More than 50 clients were looked at within an hour.")),
        ],
        "news": [
            ContactNews(UUID(int=0), "RA-0142", "K. M.", "Agreed on 2 May: ask again.", "confirm"),
            ContactNews(
                UUID(int=1), "RA-0150", "R. B.", "Asking is paused. In hospital.", "resume"
            ),
        ],
        "bar_pairs": bar_chart("Episodes opened per month", [("Sep", 30, 28), ("Oct", 22, 24)]),
        "feedback_states": [
            Shown(state=state, label=state.replace("_", " ").capitalize(), detail="Tue 17 Nov")
            for state in (
                "answered",
                "due",
                "sent",
                "reminded",
                "no_answer",
                "undelivered",
                "not_asked",
            )
        ],
        "timeline": [
            Shown(
                date="19 Nov",
                number_label="Session 18",
                node="rupture",
                title="Rated 62; usually 82–95",
                detail="Bond 55 · Goals 70 · Tasks 60",
                comment="I felt a bit rushed at the end.",
                note="Tension: strong, partly sorted out. Answered in the room.",
            ),
            Shown(
                date="12 Nov",
                number_label="Session 17",
                node="answered",
                title="Rated 90",
                status="",
                detail="Tension: none",
            ),
            Shown(
                date="22 Oct",
                number_label="Session 14",
                title="No answer",
                status="",
                detail="Expired",
            ),
            Shown(
                date="8 Oct",
                number_label="Session 12",
                node="repaired",
                title="Rated 87",
                status="repaired",
                detail="You recorded: repaired and continuing",
            ),
        ],
        "steps": [
            Shown(title="Notice", prompt="Read the answers.", state="done"),
            Shown(
                title="Open the conversation", prompt="“I’d like to understand it.”", state="now"
            ),
            Shown(title="Discuss what led to it", prompt="One moment, in the client’s words."),
        ],
        "today": [
            Shown(
                starts_at="09:00",
                starts_iso="09:00",
                about="session 20",
                detail="Logged · form sent 11:50",
                logged=True,
                log_url="",
            ),
            Shown(
                starts_at="11:30",
                starts_iso="11:30",
                about="ended 5 min ago",
                detail="Session 25",
                now=True,
            ),
            Shown(starts_at="14:00", starts_iso="14:00", about="session 14", detail="Recovering"),
        ],
        "crisis_lines": [Shown(name="Example help line, day and night", number="0000 000 000")],
        "contact": Shown(
            name="Ruth Adeyemi", phone="020 7946 0018", phone_href="tel:+442079460018"
        ),
    }
