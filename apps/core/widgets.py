"""Choices that carry more than a label: an icon, a sentence, a class of behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.functional import Promise


@dataclass(frozen=True)
class OptionDetail:
    """What stands beside one option.

    ``help``: a sentence under the label. ``icon``: a name for ``{% icon %}``. ``css_class``: put
    on the input, e.g. ``rp-absent`` (hides what applies to attended sessions only) or
    ``rp-trigger`` (shows what needs a reason).
    """

    help: str | Promise = ""
    icon: str = ""
    css_class: str = ""


class _Detailed:
    def __init__(
        self,
        attrs: dict[str, Any] | None = None,
        choices: Any = (),
        *,
        details: Mapping[object, OptionDetail] | None = None,
    ) -> None:
        super().__init__(attrs, choices)  # type: ignore[call-arg]
        self.details = details or {}

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option: dict[str, Any] = super().create_option(name, value, *args, **kwargs)  # type: ignore[misc]
        option["detail"] = self.details.get(value, OptionDetail())
        return option


class DetailedRadioSelect(_Detailed, forms.RadioSelect):
    """Radios with details; draw with ``forms/segmented.html`` or ``forms/choice_cards.html``.

    >>> widget = DetailedRadioSelect(
    ...     choices=[("room", "In the room")], details={"room": OptionDetail(help="QR code.")}
    ... )
    >>> widget.create_option("ask", "room", "In the room", False, 0)["detail"].help
    'QR code.'
    """


class DetailedCheckboxSelectMultiple(_Detailed, forms.CheckboxSelectMultiple):
    """Checkboxes with details; draw with ``forms/tags.html``."""
