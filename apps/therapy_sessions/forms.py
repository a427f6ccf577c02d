"""Forms that add a client and plan sessions."""

import re
import unicodedata
import zoneinfo
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership
from apps.clients.countries import COUNTRIES, ELSEWHERE
from apps.clients.models import Client
from apps.clients.services import is_staff_address, next_code
from apps.core.widgets import DetailedRadioSelect, OptionDetail

MOST_SESSIONS = 60
YEAR = timedelta(days=366)
REGIONS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian")


@cache
def time_zones() -> list[tuple[str, str]]:
    """The zones of the world by region and city, e.g. 'Europe/London'."""
    regions = (*REGIONS, "Pacific")
    names = zoneinfo.available_timezones()
    return [(name, name) for name in sorted(names) if name.split("/")[0] in regions]


def _always(names: tuple[str, ...], sentence: Any) -> dict[str, Any]:
    """One sentence for every way in which a field can be wrong."""
    return dict.fromkeys(names, sentence)


def date_field(**options: Any) -> forms.DateField:
    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    errors = _always(("required", "invalid"), gettext_lazy("Enter a day of the calendar."))
    return forms.DateField(widget=widget, error_messages=errors, **options)


def time_field(**options: Any) -> forms.TimeField:
    widget = forms.TimeInput(format="%H:%M", attrs={"type": "time"})
    errors = _always(("required", "invalid"), gettext_lazy("Enter a time of day, such as 14:30."))
    return forms.TimeField(widget=widget, error_messages=errors, **options)


def minutes_field() -> forms.IntegerField:
    """Length of a session, as the model allows it."""
    return forms.IntegerField(
        label=gettext_lazy("Minutes"),
        initial=50,
        min_value=5,
        max_value=480,
        error_messages=_always(
            ("required", "invalid", "min_value", "max_value"),
            gettext_lazy("A session lasts 5 to 480 minutes."),
        ),
    )


class PlanSessionsForm(forms.Form):
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
        error_messages=_always(
            ("required", "invalid", "min_value", "max_value"),
            gettext_lazy("Plan 1 to 60 sessions at once."),
        ),
    )

    def __init__(self, *args: Any, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today

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


class AddClientForm(PlanSessionsForm):
    """A client: no name, what was agreed, how they may be reached, and the first sessions."""

    initials = forms.CharField(
        label=gettext_lazy("Initials"),
        error_messages={"required": gettext_lazy("Enter the client’s initials, such as R. B.")},
        max_length=20,
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    code = forms.RegexField(
        r"^(?=.*\d)[A-Za-z0-9-]+$",
        label=gettext_lazy("Code"),
        max_length=20,
        error_messages={
            "invalid": gettext_lazy(
                "Letters, digits and hyphens, with at least one digit, such as FE-0102. No names."
            )
        },
    )
    language = forms.ChoiceField(label=gettext_lazy("Language"), choices=settings.LANGUAGES)
    country = forms.ChoiceField(
        label=gettext_lazy("Country"),
        choices=COUNTRIES.items(),
        help_text=gettext_lazy("Decides which crisis lines are shown."),
    )
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        choices=time_zones,
        help_text=gettext_lazy("Quiet hours 21:00–08:00 there."),
    )
    approach = forms.CharField(label=gettext_lazy("Approach"), max_length=40, required=False)
    discussed_on = date_field(label=gettext_lazy("Discussed with client on"), required=False)
    consent = forms.ChoiceField(
        label=gettext_lazy("The client"),
        choices=[(c.value, c.label) for c in (Client.Consent.AGREED, Client.Consent.DECLINED)],
        required=False,
        widget=DetailedRadioSelect(
            details={
                Client.Consent.AGREED: OptionDetail(
                    gettext_lazy("Knows who reads the answers, and how to stop.")
                ),
                Client.Consent.DECLINED: OptionDetail(
                    gettext_lazy("Sessions can still be logged. Nothing is sent.")
                ),
            }
        ),
    )
    email = forms.EmailField(
        label=gettext_lazy("Email"),
        max_length=254,
        required=False,
        widget=forms.EmailInput({"autocomplete": "off"}),
    )
    email_safe = forms.TypedChoiceField(
        label=gettext_lazy("Email is safe"),
        choices=[("yes", gettext_lazy("Safe")), ("no", gettext_lazy("Not safe"))],
        coerce=lambda answer: answer == "yes",
        empty_value=None,
        required=False,
        widget=forms.RadioSelect,
    )

    def __init__(self, *args: Any, therapist: Membership, **kwargs: Any) -> None:
        practice = therapist.practice
        initial = {
            "code": next_code(practice),
            "country": practice.country if practice.country in COUNTRIES else ELSEWHERE,
            "time_zone": practice.time_zone,
        }
        super().__init__(*args, initial=initial, **kwargs)
        self.practice = practice
        for name in ("first_on", "start"):
            self.fields[name].required = False

    def clean_initials(self) -> str:
        """'rb', 'R.B.' and 'r b' become 'R. B.'; what reads like a name is refused."""
        text = unicodedata.normalize("NFC", self.cleaned_data["initials"])
        parts = [part for part in re.split(r"[\s.\-–]+", text) if part]
        letters = list(parts[0]) if len(parts) == 1 and len(parts[0]) <= 3 else parts
        if not 1 <= len(letters) <= 3 or not all(
            len(letter) == 1 and letter.isalpha() for letter in letters
        ):
            raise forms.ValidationError(
                _("Initials only, three at most, such as R. B. A name is not stored here.")
            )
        return " ".join(f"{letter.upper()}." for letter in letters)

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"].upper()
        if Client.objects.filter(practice=self.practice, code__iexact=code).exists():
            raise forms.ValidationError(self.code_taken(code))
        return code

    def code_taken(self, code: str) -> str:
        return _("%(code)s is taken by another client. %(free)s is free.") % {
            "code": code,
            "free": next_code(self.practice),
        }

    def clean_discussed_on(self) -> date | None:
        discussed: date | None = self.cleaned_data["discussed_on"]
        if discussed and discussed > self.today:
            raise forms.ValidationError(
                _("This day is still to come. Enter the day you discussed it, or leave it blank.")
            )
        if discussed and discussed < self.today - 80 * YEAR:
            raise forms.ValidationError(_("This is too long ago. Check the year."))
        return discussed

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if email and is_staff_address(email, practice=self.practice):
            raise forms.ValidationError(
                _("This is a staff address. Enter the client’s own, or leave it empty.")
            )
        return email

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("consent") and "discussed_on" not in self.errors and not data["discussed_on"]:
            self.add_error(
                "discussed_on", _("Say on which day you discussed it: the answer counts from then.")
            )
        if data.get("discussed_on") and not data.get("consent") and "consent" not in self.errors:
            self.add_error("consent", _("Choose what the client said when you discussed it."))
        if data.get("email") and data.get("email_safe") is None:
            self.add_error(
                "email_safe",
                _("Choose Safe or Not safe: could anyone else see what is sent there?"),
            )
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
        names = ("code", "initials", "country", "time_zone", "language", "approach")
        also = ("discussed_on", "consent", "email")
        return {name: data[name] for name in (*names, *also)} | {
            "email_safe": bool(data["email_safe"]),
            "starts_on": data["first_on"] or self.today,
        }

    @property
    def plans_sessions(self) -> bool:
        return bool(self.cleaned_data["first_on"])


NOTE_LIMIT = 10_000
READ_BY_YOU_ALONE = gettext_lazy(
    "Only you can read this: no supervisor, no manager, no therapist after you."
)


class ProcessNoteForm(forms.Form):
    """The therapist's own note about one session; empty takes it away."""

    text = forms.CharField(
        label=gettext_lazy("Process note"),
        max_length=NOTE_LIMIT,
        required=False,
        widget=forms.Textarea(attrs={"rows": 8}),
    )
