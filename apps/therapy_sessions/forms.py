"""Forms that add a client and plan sessions."""

from datetime import date, datetime, timedelta
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership
from apps.clients.countries import COUNTRIES, ELSEWHERE
from apps.clients.forms import ContactForm
from apps.clients.models import Client
from apps.clients.services import ERASED_PREFIX, free_code, was_erased
from apps.core.forms import DatedForm, always, date_field, time_field
from apps.therapy_sessions.models import ProcessNote

MOST_SESSIONS = 60
YEAR = timedelta(days=366)


def minutes_field() -> forms.IntegerField:
    """Length of a session, as the model allows it."""
    return forms.IntegerField(
        label=gettext_lazy("Minutes"),
        initial=50,
        min_value=5,
        max_value=480,
        error_messages=always(
            ("required", "invalid", "min_value", "max_value"),
            gettext_lazy("A session lasts 5 to 480 minutes."),
        ),
    )


class PlanSessionsForm(DatedForm):
    """One session or a series, by the practice's clock."""

    first_on = date_field(label=gettext_lazy("First session"))
    start = time_field(label=gettext_lazy("Start"))
    minutes = minutes_field()
    every_weeks = forms.TypedChoiceField(
        label=gettext_lazy("Repeats"),
        coerce=int,
        choices=[
            (1, gettext_lazy("Every week")),
            (2, gettext_lazy("Every two weeks")),
            (0, gettext_lazy("Once")),
        ],
    )
    count = forms.IntegerField(
        label=gettext_lazy("How many"),
        initial=12,
        min_value=1,
        max_value=MOST_SESSIONS,
        error_messages=always(
            ("required", "invalid", "min_value", "max_value"),
            gettext_lazy("Plan 1 to 60 sessions at once."),
        ),
    )

    def clean_first_on(self) -> date | None:
        first: date | None = self.cleaned_data["first_on"]
        if first and abs(first - self.today) > YEAR:
            raise forms.ValidationError(_("Plan within a year of today. Check the year."))
        return first

    def plan(self) -> dict[str, Any]:
        """The arguments of `plan_therapy_sessions`, apart from the treatment."""
        data = self.cleaned_data
        return {
            "first_starts_at": datetime.combine(
                data["first_on"], data["start"], tzinfo=timezone.get_current_timezone()
            ),
            "duration_min": data["minutes"],
            "every_weeks": data["every_weeks"],
            "count": data["count"] if data["every_weeks"] else 1,
        }


class AddClientForm(ContactForm, PlanSessionsForm):
    """A client: no name, what was agreed, how they may be reached, and the first sessions."""

    code = forms.RegexField(
        rf"^(?!(?i:{ERASED_PREFIX}))(?=.*\d)[A-Za-z0-9-]+\Z",
        label=gettext_lazy("Code"),
        max_length=20,
        strip=True,
        error_messages={
            "invalid": gettext_lazy(
                "Letters, digits and hyphens, with at least one digit, such as FE-0102. No names."
            )
        },
    )
    approach = forms.CharField(label=gettext_lazy("Approach"), max_length=40, required=False)

    def __init__(self, *args: Any, therapist: Membership, **kwargs: Any) -> None:
        practice = therapist.practice
        initial = {
            "code": free_code(practice),
            "country": practice.country if practice.country in COUNTRIES else ELSEWHERE,
            "time_zone": practice.time_zone,
        }
        super().__init__(*args, initial=initial, practice=practice, **kwargs)
        for name in ("first_on", "start"):
            self.fields[name].required = False

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"].upper()
        taken = Client.objects.filter(practice=self.practice, code__iexact=code).exists()
        if taken or was_erased(code, practice=self.practice):
            raise forms.ValidationError(self.code_taken(code))
        return code

    def code_taken(self, code: str) -> str:
        return _("%(code)s is, or was, another client’s. %(free)s is free.") % {
            "code": code,
            "free": free_code(self.practice),
        }

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        for given, missing, words in (
            ("first_on", "start", _("Say when the first session starts.")),
            ("start", "first_on", _("Say on which day the first session is.")),
        ):
            if data.get(given) and missing not in self.errors and not data[missing]:
                self.add_error(missing, words)
        return data

    def client(self) -> dict[str, Any]:
        """The arguments of `add_client`."""
        data = self.cleaned_data
        return self.contact() | {
            "code": data["code"],
            "approach": data["approach"],
            "starts_on": data["first_on"] or self.today,
        }

    @property
    def plans_sessions(self) -> bool:
        return bool(self.cleaned_data["first_on"])


NOTE_LIMIT = 10_000
READ_BY_YOU_ALONE = gettext_lazy(
    "Only you can read this: no supervisor, no manager, no therapist after you. Once you have left,"
    " the practice’s record holder may, with a reason."
)


class ProcessNoteForm(forms.Form):
    """The therapist's own note about one session; empty takes it away.

    As much as fits into a new one can be added to what is there, as the log form does. Where
    another window saved in the meantime, `show_saved` puts its words beside the writer's, and
    saving again saves the writer's.
    """

    version = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: QueryDict | None, *, note: ProcessNote | None) -> None:
        super().__init__(data, initial={"version": note.version, "text": note.text} if note else {})
        self.fields["text"] = forms.CharField(
            label=_("Process note"),
            max_length=NOTE_LIMIT + (len(note.text) if note else 0),
            required=False,
            widget=forms.Textarea(attrs={"rows": 8}),
        )

    def show_saved(self, latest: ProcessNote | None) -> None:
        self.data = cast(QueryDict, self.data).copy()
        self.data["version"] = latest.version if latest else ""
        said = _("Not saved yet: the note was changed in another window. It now reads: “%(text)s”")
        self.add_error("text", said % {"text": latest.text if latest else ""})
