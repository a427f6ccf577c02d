"""Forms that move a planned session and correct a logged one."""

from datetime import date, datetime, time
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.forms import DatedForm, date_field, time_field
from apps.core.widgets import DetailedRadioSelect
from apps.feedback.forms import choice_of
from apps.feedback.log_form import LATEST, POINTS, NotAskedForm
from apps.therapy_sessions.forms import minutes_field
from apps.therapy_sessions.models import Resolved, Tension, TherapySession

Attendance = TherapySession.Attendance


class MoveSessionForm(DatedForm):
    """Day, time and length, by the practice's clock."""

    held_on = date_field(label=gettext_lazy("Date"))
    start = time_field(label=gettext_lazy("Start"))
    minutes = minutes_field()

    def __init__(self, *args: Any, session: TherapySession, **kwargs: Any) -> None:
        local = timezone.localtime(session.starts_at)
        initial = {
            "held_on": local.date(),
            "start": local.time(),
            "minutes": session.duration_min,
        } | kwargs.pop("initial", {})
        super().__init__(*args, initial=initial, **kwargs)

    def clean_held_on(self) -> date:
        held_on: date = self.cleaned_data["held_on"]
        if abs(held_on - self.today) > LATEST:
            raise forms.ValidationError(_("This date is far off. Check the year."))
        return held_on

    def values(self) -> dict[str, Any]:
        """The arguments of the service."""
        data = self.cleaned_data
        starts_at = _moment(data["held_on"], data["start"])
        return {"starts_at": starts_at, "duration_min": data["minutes"]}


def _moment(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, tzinfo=timezone.get_current_timezone())


class CorrectSessionForm(NotAskedForm, MoveSessionForm):
    """What was logged: all of it but how the client was asked.

    Of a session that took place after all nobody was asked, or is any more: that needs a reason.
    """

    attendance = forms.ChoiceField(
        label=gettext_lazy("Attendance"), choices=Attendance.choices, widget=DetailedRadioSelect
    )
    own_bond = choice_of(POINTS, label=gettext_lazy("Bond. How connected did it feel between you?"))
    own_goals = choice_of(
        POINTS, label=gettext_lazy("Goals. Did you agree on what you are working towards?")
    )
    own_tasks = choice_of(
        POINTS, label=gettext_lazy("Tasks. Did the way of working suit the two of you?")
    )
    tension = choice_of(Tension.choices, label=gettext_lazy("Did you notice any tension?"))
    tension_resolved = choice_of(
        Resolved.choices, label=gettext_lazy("How far was it sorted out by the end?")
    )

    WHY = ("not_asked_reason", "not_asked_note")
    SAME = ("attendance", *TherapySession.OWN_VIEW, "tension", "tension_resolved")

    def __init__(self, *args: Any, session: TherapySession, **kwargs: Any) -> None:
        initial = {name: getattr(session, name) for name in (*self.SAME, *self.WHY)}
        super().__init__(*args, session=session, initial=initial, **kwargs)
        self.has_begun = session.starts_at <= timezone.now()
        self.needs_reason = session.attendance != Attendance.ATTENDED

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        took_place = data.get("attendance") == Attendance.ATTENDED
        if not took_place:
            data.update(dict.fromkeys((*TherapySession.OWN_VIEW, "tension")))
        if not data.get("tension"):
            data["tension_resolved"] = None
        if took_place or self.has_begun or data.get("attendance") == Attendance.NO_SHOW:
            self._refuse_to_come(data)
        if took_place and self.needs_reason:
            self.clean_reason(data)
        return data

    def _refuse_to_come(self, data: dict[str, Any]) -> None:
        held_on, start = data.get("held_on"), data.get("start")
        if held_on and held_on > self.today:
            self.add_error("held_on", _("This day is still to come. Correct the date."))
        elif held_on and start and _moment(held_on, start) > timezone.now():
            self.add_error("start", _("This session has not begun yet. Correct the time."))

    def values(self) -> dict[str, Any]:
        says_why = self.needs_reason and self.cleaned_data["attendance"] == Attendance.ATTENDED
        names = (*self.SAME, *self.WHY) if says_why else self.SAME
        return super().values() | {name: self.cleaned_data[name] for name in names}
