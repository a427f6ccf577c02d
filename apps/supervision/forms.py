"""What is written in supervision."""

from datetime import date, datetime, timedelta
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership, Supervision
from apps.ruptures.models import RuptureEpisode
from apps.supervision.models import Meeting
from apps.therapy_sessions.forms import date_field, minutes_field, time_field

LONGEST = 5000
AHEAD = timedelta(days=366)


class SupportForm(forms.Form):
    """One message about an episode."""

    text = forms.CharField(
        label=gettext_lazy("Message"),
        help_text=gettext_lazy("Client codes only, please."),
        max_length=LONGEST,
        widget=forms.Textarea({"rows": 3}),
        error_messages={"required": gettext_lazy("Write a few words first.")},
    )


class EpisodeField(forms.ModelChoiceField):
    def label_from_instance(self, episode: RuptureEpisode) -> str:
        return episode.treatment.client.code


class PlanMeetingForm(forms.Form):
    """With whom, and when."""

    supervisee = forms.ModelChoiceField(
        label=gettext_lazy("With"),
        queryset=Membership.objects.none(),
        empty_label=gettext_lazy("Choose a supervisee"),
        error_messages={
            name: gettext_lazy("Choose one of your supervisees.")
            for name in ("required", "invalid_choice")
        },
    )
    day = date_field(label=gettext_lazy("Day"))
    start = time_field(label=gettext_lazy("Start"))
    minutes = minutes_field()

    def __init__(self, *args: Any, supervisor: Membership, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        supervised = Supervision.objects.current(on=today).filter(supervisor=supervisor)
        supervisees = Membership.objects.filter(id__in=supervised.values("supervisee"))
        field = cast(forms.ModelChoiceField, self.fields["supervisee"])
        field.queryset = supervisees.order_by("name")

    def clean_day(self) -> date:
        day: date = self.cleaned_data["day"]
        if not self.today <= day <= self.today + AHEAD:
            raise forms.ValidationError(_("Choose a day from today on, within a year."))
        return day

    def plan(self) -> dict[str, Any]:
        """The arguments of `plan_meeting`."""
        data = self.cleaned_data
        return {
            "supervisee": data["supervisee"],
            "starts_at": datetime.combine(
                data["day"], data["start"], tzinfo=timezone.get_current_timezone()
            ),
            "duration_min": data["minutes"],
        }


class MeetingForm(forms.Form):
    """What both write; the wish is the supervisee's."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1)
    wish = forms.CharField(
        label=gettext_lazy("What would you like to talk about?"),
        max_length=LONGEST,
        required=False,
        widget=forms.Textarea({"rows": 3}),
    )
    notes = forms.CharField(
        label=gettext_lazy("Meeting notes"),
        help_text=gettext_lazy("Both of you can read these. Client codes only, please."),
        max_length=LONGEST,
        required=False,
        widget=forms.Textarea({"rows": 5}),
    )

    def __init__(self, data: QueryDict | None, *, meeting: Meeting, member: Membership) -> None:
        initial = {"version": meeting.version, "wish": meeting.wish, "notes": meeting.notes}
        super().__init__(data, initial=initial)
        if member.id != meeting.supervisee_id:
            del self.fields["wish"]

    def show_theirs(self, meeting: Meeting) -> None:
        """Keep what was typed and show what the other one saved: saving again is a decision."""
        self.data = cast(QueryDict, self.data).copy()
        self.data["version"] = str(meeting.version)
        said = _("Not saved yet: the notes were changed meanwhile. They now read: “%(notes)s”")
        self.add_error("notes", said % {"notes": meeting.notes})


class DecisionForm(forms.Form):
    """What was decided, and about which episode."""

    episode = EpisodeField(
        label=gettext_lazy("About"),
        queryset=RuptureEpisode.objects.none(),
        empty_label=gettext_lazy("Choose a client’s episode"),
        error_messages={
            "required": gettext_lazy(
                "Choose what it is about; anything else can stand in the notes."
            ),
            "invalid_choice": gettext_lazy(
                "This episode cannot be decided about here any more: it is closed, or its client "
                "is with somebody else."
            ),
        },
    )
    text = forms.CharField(
        label=gettext_lazy("Decision"),
        help_text=gettext_lazy("It becomes the next action in the repair record."),
        max_length=500,
        widget=forms.Textarea({"rows": 2}),
        error_messages={"required": gettext_lazy("Write a few words first.")},
    )

    def __init__(self, *args: Any, meeting: Meeting, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(EpisodeField, self.fields["episode"]).queryset = meeting.episodes()
