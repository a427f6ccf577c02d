"""Forms of the Records page."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.exchange.records import StaffText
from apps.exchange.rights import ERASABLE

WORDS = {
    "contact": gettext_lazy("Contact details"),
    "comments": gettext_lazy("The client’s comments"),
    "process_notes": gettext_lazy("Your process notes"),
    "staff_texts": gettext_lazy("Reasons and worksheet notes"),
}


class EraseFieldsForm(forms.Form):
    """Which texts to erase."""

    what = forms.MultipleChoiceField(
        label=gettext_lazy("What to erase"),
        choices=[(key, WORDS[key]) for key in ERASABLE],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        error_messages={"required": gettext_lazy("Choose what to erase.")},
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
        self.fields["keep"].choices = [(text.key, text.text) for text in texts]  # type: ignore[attr-defined]
        self.fields["keep"].label = _("Texts that go with the export")
        self.initial["keep"] = [text.key for text in texts if not text.is_note]
