"""The form that logs a session and says how to ask for feedback."""

from datetime import date, datetime, timedelta
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership
from apps.clients.models import Client, ContactChannel, Treatment
from apps.core.forms import date_field, time_field
from apps.core.widgets import DetailedRadioSelect, OptionDetail
from apps.feedback.forms import PlainTextField, choice_of
from apps.feedback.selectors import Chosen
from apps.feedback.tokens import ROOM
from apps.therapy_sessions.forms import NOTE_LIMIT, minutes_field
from apps.therapy_sessions.models import Resolved, Tension, TherapySession

Attendance = TherapySession.Attendance
NotAsked = TherapySession.NotAsked
NOT_THIS_TIME = "none"
EARLIEST = date(1990, 1, 1)
LATEST = timedelta(days=366)
POINTS = [(n, str(n)) for n in range(11)]


class TreatmentField(forms.ModelChoiceField):
    def label_from_instance(self, treatment: Treatment) -> str:
        return f"{treatment.client.initials} · {treatment.client.code}"


class NotAskedForm(forms.Form):
    """Why the client is not asked about a session that took place."""

    not_asked_reason = forms.ChoiceField(
        label=gettext_lazy("Reason for not asking"),
        choices=[("", gettext_lazy("Choose a reason")), *NotAsked.choices],
        required=False,
        help_text=gettext_lazy("Your supervisor can see when and why a form was not sent."),
    )
    not_asked_note = PlainTextField(
        label=gettext_lazy("The reason in a few words, for “Other”"), max_length=200, required=False
    )

    def clean_reason(self, data: dict[str, Any]) -> None:
        """Ask for the reason, in words where it is “Other”."""
        if not data.get("not_asked_reason") and "not_asked_reason" not in self.errors:
            self.add_error("not_asked_reason", _("Choose why you do not ask this time."))
        elif data.get("not_asked_reason") == NotAsked.OTHER:
            if not data.get("not_asked_note") and "not_asked_note" not in self.errors:
                self.add_error("not_asked_note", _("Say the reason in a few words."))
        else:
            data["not_asked_note"] = ""


class LogSessionForm(NotAskedForm):
    """What happened, the therapist's own view, and how to ask. Only attendance is required."""

    treatment = TreatmentField(
        label=gettext_lazy("Client"),
        queryset=Treatment.objects.none(),
        empty_label=gettext_lazy("Choose a client"),
        error_messages={
            name: gettext_lazy("Choose a client of your caseload.")
            for name in ("required", "invalid_choice")
        },
    )
    held_on = date_field(label=gettext_lazy("Date"))
    start = time_field(label=gettext_lazy("Start"))
    minutes = minutes_field()
    attendance = forms.ChoiceField(
        label=gettext_lazy("Attendance"),
        choices=Attendance.choices,
        initial=Attendance.ATTENDED,
        error_messages={
            name: gettext_lazy("Choose how the session went.")
            for name in ("required", "invalid_choice")
        },
        widget=DetailedRadioSelect(
            details={
                Attendance.ATTENDED: OptionDetail(icon="person-check"),
                Attendance.LATE_CANCELLATION: OptionDetail(
                    icon="calendar-x", css_class="rp-absent"
                ),
                Attendance.NO_SHOW: OptionDetail(icon="person-dash", css_class="rp-absent"),
                Attendance.THERAPIST_CANCELLED: OptionDetail(
                    icon="calendar2-minus", css_class="rp-absent"
                ),
            }
        ),
    )
    own_bond = choice_of(POINTS, label=gettext_lazy("Bond. How connected did it feel between you?"))
    own_goals = choice_of(
        POINTS, label=gettext_lazy("Goals. Did you agree on what you are working towards?")
    )
    own_tasks = choice_of(
        POINTS, label=gettext_lazy("Tasks. Did the way of working suit the two of you?")
    )
    tension = choice_of(
        Tension.choices,
        label=gettext_lazy("Did you notice any tension?"),
        help_text=gettext_lazy("Small moments count. Untouched means unanswered, not “none”."),
    )
    tension_resolved = choice_of(
        Resolved.choices, label=gettext_lazy("How far was it sorted out by the end?")
    )
    ask_by = forms.ChoiceField(
        label=gettext_lazy("How to ask for feedback"),
        choices=[
            (ContactChannel.Kind.EMAIL.value, gettext_lazy("Link by email")),
            (ContactChannel.Kind.TEXT.value, gettext_lazy("Link by text message")),
            (ROOM, gettext_lazy("In the room")),
            (NOT_THIS_TIME, gettext_lazy("Not this time")),
        ],
        required=False,
        widget=DetailedRadioSelect,
    )
    process_note = PlainTextField(
        label=gettext_lazy("Process note"),
        max_length=NOTE_LIMIT,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def __init__(
        self, data: QueryDict | None, *, member: Membership, chosen: Chosen, today: date
    ) -> None:
        super().__init__(data, initial=_initial(chosen, today))
        self.chosen, self.today = chosen, today
        self.treatments = (
            Treatment.objects.conducted_by(member)
            .select_related("client__practice")
            .order_by("client__code")
        )
        cast(TreatmentField, self.fields["treatment"]).queryset = self.treatments

    @property
    def shown(self) -> Chosen:
        """Whom the page is about now: the client that was sent, else the one it started with."""
        sent = getattr(self, "cleaned_data", {})
        treatment = sent.get("treatment") or self.chosen.treatment
        same = self.chosen.treatment == treatment
        return self.chosen if same else Chosen(treatment)

    @property
    def starts_at(self) -> datetime | None:
        """Start that the page holds, as far as it is known."""
        sent = getattr(self, "cleaned_data", {})
        session = self.shown.session
        return sent.get("starts_at") or (session.starts_at if session else None)

    @property
    def duration(self) -> timedelta:
        """Length of the session that the page holds."""
        sent = getattr(self, "cleaned_data", {})
        session = self.shown.session
        length = sent.get("minutes") or (session.duration_min if session else 50)
        return timedelta(minutes=length)

    def fit_to(self, client: Client, *, missing: dict[str, list[str]], when: str) -> None:
        """Say what each way of asking means for this client, and preselect what is possible.

        Args:
            missing: what stands against each way, as `asking.why_not_ask_by_way` tells it.
            when: when a message would go out, as a sentence.
        """
        helps = {
            ContactChannel.Kind.EMAIL.value: when,
            ContactChannel.Kind.TEXT.value: when,
            ROOM: _("QR code or this device, for 15 minutes. You step aside while they answer."),
        }
        self.fields["ask_by"].widget.details = {
            way: OptionDetail(missing[way][0] if missing[way] else words)
            for way, words in helps.items()
        } | {
            NOT_THIS_TIME: OptionDetail(
                _("Needs a reason. The silence does not count."), css_class="rp-trigger"
            ),
        }
        self.initial.update(_initial_asking(client, missing))

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if data.get("attendance") == Attendance.ATTENDED:
            self._clean_asking(data)
        else:
            left_out = (*TherapySession.OWN_VIEW, "tension", "tension_resolved")
            data.update(dict.fromkeys(left_out))
            data["ask_by"] = data["not_asked_reason"] = data["not_asked_note"] = ""
        if not data.get("tension"):
            data["tension_resolved"] = None
        self._clean_day(data)
        if not self.errors:
            self._find_planned(data)
        return data

    def _clean_asking(self, data: dict[str, Any]) -> None:
        if not data.get("ask_by"):
            if "ask_by" not in self.errors:
                self.add_error("ask_by", _("Choose how to ask for feedback, or not this time."))
        elif data["ask_by"] != NOT_THIS_TIME:
            data["not_asked_reason"] = data["not_asked_note"] = ""
        else:
            self.clean_reason(data)

    def _clean_day(self, data: dict[str, Any]) -> None:
        held_on = data.get("held_on")
        if not held_on:
            return
        took_place = data.get("attendance") in {Attendance.ATTENDED, Attendance.NO_SHOW}
        if held_on > self.today and took_place:
            self.add_error(
                "held_on",
                _("This day is still to come. Correct the date, or log it afterwards."),
            )
        elif not EARLIEST <= held_on <= self.today + LATEST:
            self.add_error("held_on", _("This date is far off. Check the year."))
        elif data.get("start"):
            data["starts_at"] = datetime.combine(
                held_on, data["start"], tzinfo=timezone.get_current_timezone()
            )
            if data["starts_at"] > timezone.now() and took_place:
                self.add_error(
                    "start",
                    _("This session has not begun yet. Correct the time, or log it afterwards."),
                )

    def _find_planned(self, data: dict[str, Any]) -> None:
        """Which planned session this is, if any: the one that begins just then, else the one asked
        for on its own day, else the nearest of the day. What was planned for another day stays
        planned, or nobody would hear of it; so does what has begun, where the start that was typed
        is to come."""
        now, starts_at = timezone.now(), data["starts_at"]
        sessions = TherapySession.objects.filter(treatment=data["treatment"])
        of_the_day = sessions.planned()
        same_start = sessions.filter(starts_at=starts_at).first()
        asked_for = self.chosen.session if self.chosen.by_id else None
        if asked_for and asked_for.treatment_id != data["treatment"].id:
            asked_for = None
        is_its_day = asked_for and timezone.localdate(asked_for.starts_at) == data["held_on"]
        if same_start and same_start.attendance:
            advice = _("Choose another start if this was another session.")
            self.add_error("start", f"{logged_already(same_start)} {advice}")
        elif asked_for and is_its_day and asked_for.starts_at <= now < starts_at:
            began = date_format(timezone.localtime(asked_for.starts_at), "H:i")
            advice = _("This session began at %(start)s: log it with that start.")
            self.add_error("start", advice % {"start": began})
        elif same_start:
            data["planned"] = same_start
        elif asked_for and (is_its_day or asked_for.attendance):
            data["planned"] = asked_for
        elif starts_at > now:
            data["planned"] = self._nearest(of_the_day.filter(starts_at__gt=now), starts_at)
        elif asked_for:
            data["planned"] = self._nearest(of_the_day.filter(starts_at__lte=now), starts_at)
        else:
            data["planned"] = self._nearest(of_the_day, starts_at)

    @staticmethod
    def _nearest(sessions: Any, starts_at: datetime) -> TherapySession | None:
        """Of these, that of the day which is nearest."""
        midnight = starts_at.replace(hour=0, minute=0)
        of_the_day = sessions.filter(
            starts_at__gte=midnight, starts_at__lt=midnight + timedelta(days=1)
        )
        return min(of_the_day, key=lambda each: abs(each.starts_at - starts_at), default=None)

    def log(self) -> dict[str, Any]:
        """The arguments of `log_session_and_ask`."""
        data = self.cleaned_data
        same = (
            "treatment", "starts_at", "attendance", "tension", "tension_resolved",
            "not_asked_reason", "not_asked_note", "process_note", "planned",
        )  # fmt: skip
        return {name: data[name] for name in same} | {
            "ask_by": "" if data["ask_by"] == NOT_THIS_TIME else data["ask_by"],
            "duration_min": data["minutes"],
            "own_view": {name: data[name] for name in TherapySession.OWN_VIEW},
        }


def logged_already(session: TherapySession) -> str:
    """What was kept, and that nothing of it changed."""
    return _("The session on %(start)s is logged already: %(attendance)s. It stays as it is.") % {
        "start": date_format(timezone.localtime(session.starts_at), "D j M Y, H:i"),
        "attendance": session.get_attendance_display(),
    }


def _initial(chosen: Chosen, today: date) -> dict[str, Any]:
    now = timezone.localtime().time().replace(second=0, microsecond=0)
    initial: dict[str, Any] = {"treatment": chosen.treatment, "held_on": today, "start": now}
    if chosen.session:
        local = timezone.localtime(chosen.session.starts_at)
        initial |= {
            "held_on": local.date(),
            "start": local.time(),
            "minutes": chosen.session.duration_min,
        }
    return initial


def _initial_asking(client: Client, missing: dict[str, list[str]]) -> dict[str, Any]:
    """A message where one may go out, by text where both may; else the room; else not this time."""
    for way in (ContactChannel.Kind.TEXT.value, ContactChannel.Kind.EMAIL.value, ROOM):
        wanted = way != ROOM or client.consent == Client.Consent.IN_ROOM
        if wanted and not missing[way]:
            return {"ask_by": way}
    not_asked: dict[str, Any] = {"ask_by": NOT_THIS_TIME}
    if not client.discussed_on or client.consent not in {
        Client.Consent.AGREED,
        Client.Consent.IN_ROOM,
    }:
        return not_asked | {"not_asked_reason": NotAsked.NO_CONSENT}
    if not missing[ROOM]:
        return not_asked | {"not_asked_reason": NotAsked.NOT_SAFE}
    return not_asked | {"not_asked_reason": NotAsked.OTHER, "not_asked_note": missing[""][0][:200]}
