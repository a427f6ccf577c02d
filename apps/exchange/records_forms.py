"""Forms of the Records page."""

from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership
from apps.accounts.oneself import settled, works_alone
from apps.clients.models import Client
from apps.core.forms import ComparedForm
from apps.exchange.records import StaffText
from apps.exchange.texts import Text


class EraseTextsForm(forms.Form):
    """Which single texts to erase."""

    what = forms.MultipleChoiceField(
        label=gettext_lazy("What to erase"),
        error_messages={"required": gettext_lazy("Choose what to erase.")},
    )

    def __init__(self, data: Any, *, texts: list[Text]) -> None:
        super().__init__(data)
        self.fields["what"].choices = [(each.key, each.title) for each in texts]  # type: ignore[attr-defined]


class KeepingForm(ComparedForm):
    """How long records are kept, and who holds them."""

    retention_years = forms.IntegerField(
        label=gettext_lazy("Propose erasure after, in years"),
        min_value=1,
        max_value=100,
        required=False,
        help_text=gettext_lazy(
            "From the end of the last treatment. Nothing is erased by itself. Empty: never."
        ),
        error_messages=dict.fromkeys(
            ("min_value", "max_value", "invalid"), gettext_lazy("Choose 1 to 100 years.")
        ),
    )
    record_holder = forms.ModelChoiceField(
        Membership.objects.none(),
        label=gettext_lazy("Record holder"),
        required=False,
        empty_label=gettext_lazy("Nobody yet"),
        help_text=gettext_lazy(
            "Gives copies where a treatment has ended, reviews process notes of authors who have "
            "left, and takes all records away when two people agreed. Somebody who joined at least "
            "seven days ago. Not yourself, unless you work alone."
        ),
    )

    def __init__(self, *args: Any, by: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = Membership.objects.colleagues_of(by).with_account().filter(is_active=True)
        named = settled() & ~Q(id=by.id) | Q(id=by.practice.record_holder_id)
        self.fields["record_holder"].queryset = (  # type: ignore[attr-defined]
            people if works_alone(by) else people.filter(named)
        )


class HoldForm(forms.Form):
    """Which client a legal hold is about."""

    code = forms.CharField(
        label=gettext_lazy("Client code"),
        max_length=20,
        error_messages={"required": gettext_lazy("Give the client’s code.")},
    )

    def __init__(self, *args: Any, by: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.practice_id = by.practice_id

    def clean_code(self) -> Client:
        """The client of this code; in other letters only where no two differ by them alone."""
        code = self.cleaned_data["code"]
        alike = Client.objects.filter(practice=self.practice_id, code__iexact=code, erased_at=None)
        found = [each for each in alike if each.code == code] or list(alike)
        if len(found) != 1:
            raise forms.ValidationError(
                _("Several clients have this code, in capital or small letters: type it exactly.")
                if found
                else _("No client has this code.")
            )
        return found[0]


class ReasonForm(forms.Form):
    """Why the notes of somebody who has left are opened."""

    reason = forms.CharField(
        label=gettext_lazy("Why you open these notes"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": gettext_lazy("Say why; it is kept with the records.")},
    )


class ReviewForm(forms.Form):
    """The clinician's word on each text of staff, before it is given out."""

    keep = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"})
    )
    reviewed = forms.BooleanField(
        label=gettext_lazy("I have read these texts; nothing in them would harm somebody."),
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
        error_messages={"required": gettext_lazy("Read the texts, then tick this.")},
    )

    def __init__(self, data: Any, *, texts: list[StaffText]) -> None:
        super().__init__(data)
        self.fields["keep"].choices = [  # type: ignore[attr-defined]
            (text.key, f"{text.where}: {text.text}") for text in texts
        ]
        self.fields["keep"].label = _("Texts that go with the export")
        self.initial["keep"] = [text.key for text in texts if not text.is_note]
