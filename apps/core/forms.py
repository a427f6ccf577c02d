"""Form fields that pages of several apps share."""

import struct
from collections.abc import Iterable
from datetime import date
from typing import Any, cast

from django import forms
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import QueryDict, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

UNREADABLE = (
    *(ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError),
    struct.error,
)
"""What libraries raise over JSON or CBOR that is none, or too deep, or of another kind."""

NO_FORM = (BadRequest, MultiPartParserError, SuspiciousOperation, UnreadablePostError)
"""What Django raises as it reads a body that is no form, or too long for one."""


class DatedForm(forms.Form):
    """A form that is told which day it is, by the practice's clock."""

    def __init__(self, *args: Any, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = today


class ComparedForm(forms.Form):
    """A form about what somebody else, or another window, may change meanwhile.

    `initial` is how it stands; whoever builds the form for a POST holds that first. It sends back
    which state its writer had before them (`version`; '' compares nothing). Where another one
    stands by then, nothing is taken: the form keeps what was typed and says what now stands there,
    and sending it again decides.
    """

    version = forms.CharField(widget=forms.HiddenInput, required=False)
    changed = gettext_lazy("Not saved yet: this was changed meanwhile. It now says: %s")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        state = repr((sorted(self.initial.items()), list(self.also_stands())))
        self.initial["version"] = salted_hmac("apps.core.forms.ComparedForm", state).hexdigest()

    def also_stands(self) -> Iterable[str]:
        """What is compared and said besides the fields."""
        return ()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        sent = data.pop("version", "")
        if sent and sent != self.initial["version"]:
            self._show_theirs()
        return data

    def _show_theirs(self) -> None:
        differ = self.initial.keys() & set(self.changed_data) - {"version"}
        said = [self._in_words(name) for name in self.fields if name in differ]
        if said := [*said, *self.also_stands()]:
            self.data = data = cast(QueryDict, self.data).copy()
            data[self.add_prefix("version")] = self.initial["version"]
            self.add_error(None, self.changed % " ".join(said))

    def _in_words(self, name: str) -> str:
        field, value = self.fields[name], self.initial[name]
        choices = dict(getattr(field, "choices", ()))
        values = value if isinstance(value, list) else [value]
        words = ", ".join(str(choices.get(each, each)) for each in values if each)
        return f"{field.label}: {words.removesuffix('.') or _('(blank)')}."


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
