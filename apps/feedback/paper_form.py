"""The form by which a therapist enters what a client filled in on paper."""

from datetime import date, datetime, time
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.forms import date_field
from apps.feedback.forms import FeedbackForm
from apps.therapy_sessions.models import TherapySession


class PaperForm(FeedbackForm):
    """A client's answers, and the day they were given on."""

    NOTHING_ANSWERED = gettext_lazy(
        "Nothing is entered yet. Enter what the client wrote, even if it is one answer."
    )

    filled_in_on = date_field(label=gettext_lazy("Filled in on"))

    def __init__(self, *args: Any, session: TherapySession, today: date, **kwargs: Any) -> None:
        self.held_on = timezone.localdate(session.starts_at)
        super().__init__(*args, initial={"filled_in_on": self.held_on}, **kwargs)
        self.session, self.today = session, today

    def clean_filled_in_on(self) -> date:
        filled_in_on: date = self.cleaned_data["filled_in_on"]
        if not self.held_on <= filled_in_on <= self.today:
            raise forms.ValidationError(_("Enter a day between the session and today."))
        return filled_in_on

    def clean(self) -> dict[str, Any]:
        # The day alone is no answer.
        day = self.cleaned_data.pop("filled_in_on", None)
        answered = super().clean()
        return answered | {"filled_in_on": day}

    def answered_at(self) -> datetime:
        """On the session's day its end, on another noon: what paper tells of the time of day."""
        day: date = self.cleaned_data["filled_in_on"]
        if day == self.held_on:
            return min(self.session.ends_at, timezone.now())
        noon = datetime.combine(day, time(12), tzinfo=timezone.get_current_timezone())
        return min(noon, timezone.now())
