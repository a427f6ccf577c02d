"""Form fields that pages of several apps share."""

from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy


class DatedForm(forms.Form):
    """A form that is told which day it is, by the practice's clock."""

    def __init__(self, *args: Any, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today


def always(names: tuple[str, ...], sentence: Any) -> dict[str, Any]:
    """One sentence for every way in which a field can be wrong."""
    return dict.fromkeys(names, sentence)


def date_field(**options: Any) -> forms.DateField:
    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    errors = always(("required", "invalid"), gettext_lazy("Enter a day of the calendar."))
    return forms.DateField(widget=widget, error_messages=errors, **options)


def time_field(**options: Any) -> forms.TimeField:
    widget = forms.TimeInput(format="%H:%M", attrs={"type": "time"})
    errors = always(("required", "invalid"), gettext_lazy("Enter a time of day, such as 14:30."))
    return forms.TimeField(widget=widget, error_messages=errors, **options)
