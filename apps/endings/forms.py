"""What is filled in when a treatment ends."""

from datetime import date, timedelta
from typing import cast

from django import forms
from django.http import QueryDict
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership
from apps.accounts.oneself import settled_from
from apps.core.widgets import DetailedCheckboxSelectMultiple, DetailedRadioSelect, OptionDetail
from apps.endings.models import LANGUAGES, Ending, Move, Offer, Wish
from apps.endings.selectors import Colleague

DAY = forms.DateInput({"type": "date"}, format="%Y-%m-%d")
TEXT = forms.Textarea({"rows": 3, "dir": "auto"})
FURTHEST = timedelta(days=366)
PARTS = {
    Move.Part.NEEDS: gettext_lazy("As written in step 1"),
    Move.Part.TRIED: gettext_lazy("The summary in step 1, not the notes"),
    Move.Part.RATINGS: gettext_lazy(
        "The chart. The new therapist starts a new baseline all the same."
    ),
    Move.Part.COMMENTS: gettext_lazy("Word for word"),
}


class OfferForm(forms.Form):
    """What a therapist can offer a client who moves."""

    has_room = forms.BooleanField(label=gettext_lazy("I have room for a client"), required=False)
    offers = forms.MultipleChoiceField(
        label=gettext_lazy("What applies to me and my sessions"),
        choices=Wish.choices,
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    languages = forms.MultipleChoiceField(
        label=gettext_lazy("Languages I work in"),
        choices=LANGUAGES,
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    words = forms.CharField(
        label=gettext_lazy("In a few words"),
        help_text=gettext_lazy("Colleagues read it when they look for a therapist who fits."),
        max_length=300,
        widget=forms.Textarea({"rows": 2, "dir": "auto"}),
        required=False,
    )

    def __init__(self, data: QueryDict | None = None, *, offer: Offer | None) -> None:
        names = ("has_room", "offers", "languages", "words")
        super().__init__(
            data, initial={name: getattr(offer, name) for name in names} if offer else None
        )
        chosen = set(self["languages"].value() or ())
        # Those chosen before come first: the others are many.
        cast(forms.MultipleChoiceField, self.fields["languages"]).choices = sorted(
            LANGUAGES, key=lambda language: (language[0] not in chosen, str(language[1]))
        )


class MoveForm(forms.Form):
    """A step of a move; `version` is the one that its writer had before them."""

    version = forms.CharField(widget=forms.HiddenInput, required=False)


class FitsForm(MoveForm):
    """Step 1: what fits, in the client's own words and as a list.

    Where somebody saved in the meantime, `show_theirs` puts their words beside the writer's, and
    sending again saves the writer's.
    """

    needs = forms.CharField(
        label=gettext_lazy("What the client needs now"),
        help_text=gettext_lazy("In the client’s own words."),
        max_length=2000,
        widget=TEXT,
        error_messages={"required": gettext_lazy("Write what the client needs now.")},
    )
    wishes = forms.MultipleChoiceField(
        label=gettext_lazy("Prefers"),
        choices=Wish.choices,
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    language = forms.ChoiceField(
        label=gettext_lazy("Language"), choices=[("", ""), *LANGUAGES], required=False
    )
    tried = forms.CharField(
        label=gettext_lazy("What was tried"),
        help_text=gettext_lazy("A summary that could be passed on; your notes are not."),
        max_length=2000,
        widget=TEXT,
        error_messages={"required": gettext_lazy("Write in a few words what was tried.")},
    )
    talked_over_on = forms.DateField(
        label=gettext_lazy("Talked over with supervisor on"), widget=DAY, required=False
    )

    def __init__(self, data: QueryDict | None, *, move: Move | None, today: date) -> None:
        """Start from `move`, which may be one that was called off."""
        names = ("needs", "wishes", "language", "tried", "talked_over_on", "version")
        initial = {name: getattr(move, name) for name in names} if move else {}
        if move and move.called_off_at:
            del initial["version"]  # the words come along, the move does not
        super().__init__(data, initial=initial)
        self.today = today
        self.theirs: dict[str, str] = {}

    def show_theirs(self, latest: Move) -> None:
        """Keep what was typed, show beside it what `latest` says differently."""
        self.data = data = cast(QueryDict, self.data).copy()
        data["version"] = latest.version
        blank = _("(blank)")
        said = {
            "needs": latest.needs,
            "wishes": ", ".join(str(Wish(wish).label) for wish in latest.wishes),
            "language": str(dict(LANGUAGES).get(latest.language, "")),
            "tried": latest.tried,
        }
        self.theirs = {
            name: words or blank
            for name, words in said.items()
            if getattr(latest, name) != self.cleaned_data[name]
        }

    def clean_talked_over_on(self) -> date | None:
        return _not_ahead(self.cleaned_data["talked_over_on"], self.today)


class ConsentForm(MoveForm):
    """Step 2: which parts the client agrees to pass on."""

    passes_on = forms.MultipleChoiceField(
        label=gettext_lazy("Parts to pass on"),
        choices=Move.Part.choices,
        widget=DetailedCheckboxSelectMultiple(
            details={part.value: OptionDetail(said) for part, said in PARTS.items()}
        ),
        required=False,
    )
    agreed_on = forms.DateField(
        label=gettext_lazy("Client agreed on"),
        widget=DAY,
        error_messages={"required": gettext_lazy("Give the day on which the client agreed.")},
    )
    agreed_how = forms.ChoiceField(
        label=gettext_lazy("How"),
        choices=[("", ""), *Move.How.choices],
        error_messages={"required": gettext_lazy("Say how the client agreed.")},
    )

    def __init__(self, data: QueryDict | None, *, move: Move, today: date) -> None:
        names = ("passes_on", "agreed_on", "agreed_how", "version")
        super().__init__(data, initial={name: getattr(move, name) for name in names})
        self.today = today

    def clean_agreed_on(self) -> date | None:
        return _not_ahead(self.cleaned_data["agreed_on"], self.today)


class HandoverForm(MoveForm):
    """Step 3: to whom, on which day, and a meeting of three where the client wants one."""

    to = forms.ChoiceField(
        label=gettext_lazy("New therapist"),
        error_messages={"required": gettext_lazy("Choose who takes the client on.")},
    )
    meeting_on = forms.DateField(
        label=gettext_lazy("Meeting of three on"),
        help_text=gettext_lazy("If the client wants one."),
        widget=DAY,
        required=False,
    )
    moves_on = forms.DateField(
        label=gettext_lazy("Moves on"),
        help_text=gettext_lazy("Your access ends on this day; hold your last session before it."),
        widget=DAY,
        error_messages={"required": gettext_lazy("Give the day of the move.")},
    )

    def __init__(
        self, data: QueryDict | None, *, move: Move, colleagues: list[Colleague], today: date
    ) -> None:
        super().__init__(data, initial={"version": move.version})
        self.members = {str(each.member.id): each.member for each in colleagues}
        to = cast(forms.ChoiceField, self.fields["to"])
        to.widget = DetailedRadioSelect(
            details={str(each.member.id): OptionDetail(each.said) for each in colleagues}
        )
        to.choices = [(id_, member.name) for id_, member in self.members.items()]
        self.today = today

    def clean_to(self) -> Membership:
        return self.members[self.cleaned_data["to"]]

    def clean_moves_on(self) -> date:
        day: date = self.cleaned_data["moves_on"]
        if not self.today <= day <= self.today + FURTHEST:
            raise forms.ValidationError(_("Choose today or a day within a year."))
        to: Membership | None = self.cleaned_data.get("to")
        if to and day < (first := settled_from(to)):
            raise forms.ValidationError(
                _("%(who)s joined less than seven days ago: choose %(day)s or a later day.")
                % {"who": to.name, "day": date_format(first, "j M Y")}
            )
        return day


class CallOffForm(MoveForm):
    """Why an arranged move does not take place."""

    reason = forms.CharField(
        label=gettext_lazy("Why"),
        help_text=gettext_lazy(
            "A short reason for your own record. Your colleague learns only that the client stays."
        ),
        max_length=300,
        widget=forms.Textarea({"rows": 2, "dir": "auto"}),
        error_messages={"required": gettext_lazy("Say in a few words why.")},
    )

    def __init__(self, data: QueryDict | None, *, move: Move) -> None:
        super().__init__(data, initial={"version": move.version})


class ClosingForm(forms.Form):
    """The ending review."""

    how = forms.ChoiceField(
        label=gettext_lazy("How it ended"),
        choices=Ending.How.choices,
        widget=DetailedRadioSelect,
        error_messages={"required": gettext_lazy("Choose how it ended.")},
    )
    review = forms.CharField(
        label=gettext_lazy("Looking back"),
        help_text=gettext_lazy(
            "What helped, where it was hard between you and how you came back from it, what to "
            "keep in mind if you meet again."
        ),
        max_length=5000,
        widget=forms.Textarea({"rows": 6, "dir": "auto"}),
        required=False,
    )


def _not_ahead(day: date | None, today: date) -> date | None:
    if day and day > today:
        raise forms.ValidationError(_("This day is still ahead."))
    return day
