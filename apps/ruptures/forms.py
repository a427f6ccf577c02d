"""What a therapist records about an episode."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.alliance.models import Cause
from apps.core.widgets import DetailedRadioSelect, OptionDetail
from apps.ruptures.models import RuptureEpisode

Outcome = RuptureEpisode.Outcome
OUTCOMES = {
    Outcome.REPAIRED: gettext_lazy("You have talked, and both feel it is settled."),
    Outcome.SETTLED_LOWER: gettext_lazy("Needs review with your supervisor."),
    Outcome.NOT_A_RUPTURE: gettext_lazy("Asks for a reason."),
    Outcome.ENDED_UNREPAIRED: gettext_lazy("Treatment closed before it was repaired."),
}


class CausesForm(forms.Form):
    """What may be behind it, as a working hypothesis; none ticked is an answer too."""

    causes = forms.MultipleChoiceField(
        label=gettext_lazy("What may be behind it"),
        help_text=gettext_lazy(
            "A working hypothesis. Tick any that fit; change it when you have talked."
        ),
        choices=Cause.choices,
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )


class OutcomeForm(forms.Form):
    """How an episode ended; *not a rupture* needs a reason, the others may have one."""

    outcome = forms.TypedChoiceField(
        label=gettext_lazy("Outcome"),
        choices=[(outcome.value, outcome.label) for outcome in OUTCOMES],
        coerce=Outcome,
        widget=DetailedRadioSelect(
            details={outcome.value: OptionDetail(said) for outcome, said in OUTCOMES.items()}
        ),
        error_messages={
            "required": gettext_lazy("Choose how it ended. Until then the episode stays open.")
        },
    )
    reason = forms.CharField(
        label=gettext_lazy("In a few words"),
        help_text=gettext_lazy("Needed for “Not a rupture”."),
        max_length=500,
        widget=forms.Textarea({"rows": 2}),
        required=False,
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("outcome") == Outcome.NOT_A_RUPTURE and not (
            cleaned.get("reason") or "reason" in self.errors
        ):
            self.add_error("reason", _("Say in a few words why this was not a rupture."))
        return cleaned
