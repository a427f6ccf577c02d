"""The form of a client's details: who, what was agreed, and how they may be reached."""

import re
import unicodedata
import zoneinfo
from datetime import date, timedelta
from functools import cache
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Practice
from apps.clients.addresses import clean_email, clean_phone
from apps.clients.countries import COUNTRIES
from apps.clients.models import CONSENT_HOLDS, Client, ContactChannel
from apps.clients.services import (
    DETAILS,
    Address,
    is_staff_address,
    is_staff_phone,
)
from apps.core.forms import ComparedForm, DatedForm, date_field
from apps.core.widgets import DetailedRadioSelect, OptionDetail

LONG_AGO = timedelta(days=80 * 366)
REGIONS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian")
Consent = Client.Consent
Kind = ContactChannel.Kind


@cache
def time_zones() -> list[tuple[str, str]]:
    """The zones of the world by region and city, e.g. 'Europe/London'."""
    regions = (*REGIONS, "Pacific")
    names = zoneinfo.available_timezones()
    return [(name, name) for name in sorted(names) if name.split("/")[0] in regions]


def is_safe(label: Any) -> forms.TypedChoiceField:
    """Safe or not; untouched is None."""
    return forms.TypedChoiceField(
        label=label,
        choices=[("yes", gettext_lazy("Safe")), ("no", gettext_lazy("Not safe"))],
        coerce=lambda answer: answer == "yes",
        empty_value=None,
        required=False,
        widget=forms.RadioSelect,
    )


class ContactForm(DatedForm):
    """A client's details. Only initials are required; an address needs its *safe to contact?*."""

    initials = forms.CharField(
        label=gettext_lazy("Initials"),
        error_messages={"required": gettext_lazy("Enter the client’s initials, such as R. B.")},
        max_length=20,
        widget=forms.TextInput({"autocomplete": "off"}),
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
    discussed_on = date_field(label=gettext_lazy("Discussed with client on"), required=False)
    consent = forms.ChoiceField(
        label=gettext_lazy("The client"),
        choices=Consent.choices,
        required=False,
        widget=DetailedRadioSelect(
            details={
                Consent.AGREED: OptionDetail(
                    gettext_lazy("Knows who reads the answers, and how to stop.")
                ),
                Consent.IN_ROOM: OptionDetail(gettext_lazy("No messages. QR code or your device.")),
                Consent.DECLINED: OptionDetail(
                    gettext_lazy("Sessions can still be logged. Nothing is sent.")
                ),
            }
        ),
    )
    # Text fields, not EmailField: `clean_email` says more clearly what is wrong.
    email = forms.CharField(
        label=gettext_lazy("Email"),
        max_length=254,
        required=False,
        widget=forms.EmailInput({"autocomplete": "off"}),
    )
    email_safe = is_safe(gettext_lazy("Email is safe"))
    text = forms.CharField(
        label=gettext_lazy("Text message"),
        max_length=40,
        required=False,
        widget=forms.TextInput({"type": "tel", "autocomplete": "off"}),
    )
    text_safe = is_safe(gettext_lazy("Text message is safe"))

    def __init__(self, *args: Any, practice: Practice, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.practice = practice

    def clean_initials(self) -> str:
        """'rb', 'R.B.' and 'r b' become 'R. B.'; what reads like a name is refused."""
        text = unicodedata.normalize("NFC", self.cleaned_data["initials"])
        parts = [part for part in re.split(r"[\s.\-–]+", text) if part]
        letters = list(parts[0]) if len(parts) == 1 and len(parts[0]) <= 3 else parts
        if not 1 <= len(letters) <= 3 or not all(
            len(letter.upper()) == 1 and letter.isalpha() for letter in letters
        ):
            raise forms.ValidationError(
                _("Initials only, three at most, such as R. B. A name is not stored here.")
            )
        return " ".join(f"{letter.upper()}." for letter in letters)

    def clean_discussed_on(self) -> date | None:
        discussed: date | None = self.cleaned_data["discussed_on"]
        if discussed and discussed > self.today:
            raise forms.ValidationError(
                _("This day is still to come. Enter the day you discussed it, or leave it blank.")
            )
        if discussed and discussed < self.today - LONG_AGO:
            raise forms.ValidationError(_("This is too long ago. Check the year."))
        return discussed

    def clean_email(self) -> str:
        typed: str = self.cleaned_data["email"]
        email = clean_email(typed) if typed else ""
        if email and is_staff_address(email, practice=self.practice):
            raise forms.ValidationError(
                _("This is a staff address. Enter the client’s own, or leave it empty.")
            )
        return email

    def clean_text(self) -> str:
        typed: str = self.cleaned_data["text"]
        country = self.cleaned_data.get("country") or self.practice.country
        number = clean_phone(typed, country=country) if typed else ""
        if number and is_staff_phone(number, practice=self.practice):
            raise forms.ValidationError(
                _("This is a number of the practice. Enter the client’s own, or leave it empty.")
            )
        return number

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("consent") and "discussed_on" not in self.errors and not data["discussed_on"]:
            self.add_error(
                "discussed_on", _("Say on which day you discussed it: the answer counts from then.")
            )
        if data.get("discussed_on") and not data.get("consent") and "consent" not in self.errors:
            self.add_error("consent", _("Choose what the client said when you discussed it."))
        for kind in Kind.values:
            is_there = data.get(kind) or kind in self.errors
            if is_there and data.get(f"{kind}_safe") is None:
                self.add_error(
                    f"{kind}_safe",
                    _("Choose Safe or Not safe: could anyone else see what is sent there?"),
                )
        return data

    def contact(self) -> dict[str, Any]:
        """The arguments that `add_client` and `change_client` share."""
        data = self.cleaned_data
        return {name: data[name] for name in DETAILS} | {
            "addresses": {
                kind: Address(data[kind], bool(data[f"{kind}_safe"])) for kind in Kind.values
            }
        }


class ChangeClientForm(ComparedForm, ContactForm):
    """The details of a client who is on the caseload already."""

    changed = gettext_lazy("Not saved yet: the details were changed meanwhile. They now say: %s")
    talked_again = forms.BooleanField(
        label=gettext_lazy("On that day we talked about the stopped messages again"),
        required=False,
    )

    def __init__(self, *args: Any, client: Client, **kwargs: Any) -> None:
        self.stopped = _stopped(client)
        # A stop of meanwhile is another one, also where it says the same.
        shown = _details_of(client) | {"stopped": [each.stopped_at for each in self.stopped]}
        super().__init__(*args, initial=shown, practice=client.practice, **kwargs)
        if not self.stopped:
            del self.fields["talked_again"]

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        day = data.get("discussed_on")
        if data.get("talked_again") and day and day < (stop := max(self._stops())):
            said = _("Messages were stopped on %(day)s: say on which day since then you talked.")
            self.add_error("discussed_on", said % {"day": date_format(stop, "j M Y")})
        return data

    def _stops(self) -> list[date]:
        """Days that a talk must not be before: of what came back only where that is all. Beside a
        person's no it is another matter, and may have come back since they talked."""
        bounced = ContactChannel.StopReason.BOUNCED
        said = [each for each in self.stopped if each.stop_reason != bounced]
        return [timezone.localdate(each.stopped_at) for each in said or self.stopped]

    def contact(self) -> dict[str, Any]:
        return super().contact() | {"talked_again": self.cleaned_data.get("talked_again", False)}

    def also_stands(self) -> list[str]:
        return [
            f"{channel.get_kind_display()}: {channel.get_stop_reason_display()}."
            for channel in self.stopped
        ]


def _stopped(client: Client) -> list[ContactChannel]:
    return list(client.channels.filter(stopped_at__isnull=False).order_by("kind"))


def _details_of(client: Client) -> dict[str, Any]:
    """What the form shows of a client, by field."""
    details = {name: getattr(client, name) for name in DETAILS} | dict.fromkeys(Kind.values, "")
    for channel in client.channels.exclude(address=""):
        details[channel.kind] = channel.address
        details[f"{channel.kind}_safe"] = "yes" if channel.safe_to_contact else "no"
    return details


class PauseForm(DatedForm):
    """Why asking rests, and when to look at it again."""

    reason = forms.CharField(
        label=gettext_lazy("Clinical reason"),
        help_text=gettext_lazy(
            "Whoever treats the client while the pause lasts reads it; once your treatment has "
            "ended, so does the practice’s record holder."
        ),
        max_length=200,
        error_messages={"required": gettext_lazy("Say in a few words why asking rests.")},
    )
    review_on = date_field(label=gettext_lazy("Review on"))

    def clean_review_on(self) -> date:
        review_on: date = self.cleaned_data["review_on"]
        if not self.today < review_on <= self.today + CONSENT_HOLDS:
            raise forms.ValidationError(
                _("Choose a day after today, within the next %(days)s days.")
                % {"days": CONSENT_HOLDS.days}
            )
        return review_on
