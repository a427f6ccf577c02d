"""Forms by which a manager tends the people of a practice."""

from datetime import date
from typing import Any, cast

from django import forms
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts import oneself
from apps.accounts.models import Membership, Role, Supervision
from apps.core.forms import ComparedForm
from apps.core.spellings import refuse_accents

ALONE = gettext_lazy(
    "As nobody else manages this practice, you can supervise from %s on. The supervisee is told "
    "as soon as it is recorded."
)
NEW_HERE = gettext_lazy(
    "Access begins on %s at the earliest, when whoever gives it and whoever gets it have been here "
    "for seven days."
)
NAME_A_ROLE = gettext_lazy("Tick at least one role.")


class DayField(forms.DateField):
    """A day, picked in the browser's own calendar."""

    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    default_error_messages = {"invalid": gettext_lazy("This is no date; 2026-11-30 is one.")}


class RolesForm(forms.Form):
    roles = forms.TypedMultipleChoiceField(
        label=gettext_lazy("Roles here"),
        choices=Role.choices,
        coerce=Role,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": NAME_A_ROLE},
    )


class ChangeRolesForm(ComparedForm, RolesForm):
    """The roles of somebody who has a place here."""


class PlaceForm(forms.Form):
    """To whom a place is offered."""

    email = forms.EmailField(
        label=gettext_lazy("Work email"),
        max_length=254,
        validators=[refuse_accents],
        error_messages={
            "required": gettext_lazy("The invitation is sent by email: give an address."),
            "invalid": gettext_lazy("This is no email address; sam@example.org would be one."),
        },
    )


class InvitationForm(PlaceForm, RolesForm):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=120,
        help_text=gettext_lazy("As colleagues know the person."),
        error_messages={"required": gettext_lazy("Say who it is.")},
    )


class SupervisionForm(forms.Form):
    """Who supervises whom, and from which day up to which.

    Who has left, or is no therapist any more, is a supervisee until their clients are handed over.
    """

    supervisee = forms.ModelChoiceField(
        Membership.objects.none(),
        label=gettext_lazy("Supervisee"),
        empty_label=gettext_lazy("Choose somebody"),
    )
    supervisor = forms.ModelChoiceField(
        Membership.objects.none(),
        label=gettext_lazy("Supervisor"),
        empty_label=gettext_lazy("Choose somebody"),
        help_text=gettext_lazy("Somebody who has the role of a supervisor here."),
    )
    starts_on = DayField(label=gettext_lazy("From"))
    ends_on = DayField(
        label=gettext_lazy("Last day"),
        required=False,
        help_text=gettext_lazy("Leave it blank while it goes on."),
    )

    def __init__(self, *args: Any, manager: Membership, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today
        first = oneself.settled_from(manager)
        self.fields["starts_on"].initial = first
        if first > today:
            self.fields["starts_on"].help_text = NEW_HERE % date_format(first, "j M Y")
        colleagues = Membership.objects.colleagues_of(manager).order_by("name")
        supervisors = colleagues.with_role(Role.SUPERVISOR).with_account()
        cast(forms.ModelChoiceField, self.fields["supervisor"]).queryset = supervisors
        supervisees = colleagues.with_role(Role.THERAPIST) | colleagues.still_treating(on=today)
        cast(forms.ModelChoiceField, self.fields["supervisee"]).queryset = supervisees
        self.manager = manager
        if oneself.must_ask_another(manager):
            supervisor = cast(forms.ModelChoiceField, self.fields["supervisor"])
            supervisor.queryset = supervisors.exclude(id=manager.id)
            supervisor.help_text = _(
                "Somebody who has the role of a supervisor here. Nobody names themselves: ask "
                "another manager."
            )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        if cleaned["supervisee"] == cleaned["supervisor"]:
            self.add_error("supervisor", _("Nobody supervises themselves. Choose somebody else."))
        if cleaned["ends_on"] and cleaned["ends_on"] < cleaned["starts_on"]:
            self.add_error("ends_on", _("The last day comes before the first. Change one of them."))
        if self.errors:
            return cleaned
        first = oneself.access_from(to=cleaned["supervisor"], by=self.manager)
        if cleaned["starts_on"] < first > self.today:
            why = ALONE if cleaned["supervisor"] == self.manager else NEW_HERE
            self.add_error("starts_on", why % date_format(first, "j M Y"))
        if self.errors:
            return cleaned
        pair = {name: cleaned[name] for name in ("supervisee", "supervisor")}
        if Supervision.objects.filter(**pair, ends_on__isnull=True).exists():
            self.add_error(None, _("These two have an open link already. Set its last day first."))
        return cleaned


class EndSupervisionForm(forms.Form):
    ends_on = DayField(
        label=gettext_lazy("Last day"),
        help_text=gettext_lazy("Access ends after that day; where the day has passed, at once."),
    )

    def __init__(self, *args: Any, supervision: Supervision, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.supervision = supervision
        self.first = date_format(supervision.starts_on, "j M Y")
        self.today = today
        if supervision.starts_on > today:
            said = _("It begins on %s: a day before that withdraws it.") % self.first
            self.fields["ends_on"].help_text = said

    def clean_ends_on(self) -> date:
        day: date = self.cleaned_data["ends_on"]
        if day < self.supervision.starts_on < self.today:
            raise forms.ValidationError(
                _("The link began on %s. Choose that day or a later one.") % self.first
            )
        last = self.supervision.ends_on
        if last and day > last:
            raise forms.ValidationError(
                _("The last day is %s already. For a longer time, add a new link.")
                % date_format(last, "j M Y")
            )
        return day
