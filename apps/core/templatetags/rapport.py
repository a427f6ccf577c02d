"""Template tags of the house: icons, status pills and components with a slot.

Load with ``{% load rapport %}``. Every state these can show is on ``/styleguide/``.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from django import template
from django.forms import BoundField
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from apps.core import names, typed
from apps.core.form_tokens import is_own_form

register = template.Library()
register.filter(names.initials)

STATIC = Path(__file__).resolve().parents[3] / "static"
OWN_ICONS = STATIC / "img" / "icons"
BOOTSTRAP_ICONS = STATIC / "vendor" / "bootstrap-icons" / "icons"


class Pill(NamedTuple):
    """How one status is shown: always an icon and a word, never colour alone."""

    label: str | Promise
    css: str
    icon: str


PILLS: dict[str, Pill] = {
    "none": Pill(_("No flag"), "noflag", "line"),
    "watch": Pill(_("Watch"), "watch", "eye"),
    "possible": Pill(_("Possible rupture"), "rupture", "break"),
    "marked": Pill(_("Possible rupture · marked"), "marked", "break"),
    "recovering": Pill(_("Recovering"), "recovering", "mend"),
    "repaired": Pill(_("Repaired"), "repaired", "seam"),
    "little_room": Pill(_("Little room to show change"), "ceiling", "top"),
    "baseline_forming": Pill(_("Baseline forming"), "forming", "few"),
}
WITHOUT_PILL = ("", "not_asked", None)

NOTE_ICONS = {
    "info": "info-circle",
    "ok": "check-circle",
    "danger": "exclamation-circle",
    "amber": "break",
    "gold": "seam",
    "plain": "info-circle",
}
NOTE_KIND_OF_MESSAGE = {"success": "ok", "error": "danger"}


@cache
def _drawing(name: str) -> tuple[str, str, bool]:
    """Read an icon once: its view box, its inner SVG, and whether it is one of our own."""
    own = OWN_ICONS / f"{name}.svg"
    path = own if own.is_file() else BOOTSTRAP_ICONS / f"{name}.svg"
    if not path.is_file():
        raise template.TemplateSyntaxError(
            f"There is no icon '{name}'. Add {name}.svg to static/vendor/bootstrap-icons/icons "
            "and to MANIFEST.sha256, or use one that is there."
        )
    svg = path.read_text(encoding="utf-8")
    match = re.search(r'viewBox="([^"]+)"[^>]*>(.*)</svg>', svg, re.DOTALL)
    if match is None:
        raise template.TemplateSyntaxError(f"{path} is not an SVG with a viewBox.")
    return match[1], re.sub(r"\s*\n\s*", "", match[2]), path == own


@register.simple_tag
@lru_cache(maxsize=512)
def icon(
    name: str, css_class: str = "", x: float | None = None, y: float | None = None, size: int = 14
) -> SafeString:
    """Draw a decorative icon inline, so that no request and no sprite is needed.

    ``name`` is a file in ``static/img/icons`` (ours) or ``static/vendor/bootstrap-icons/icons``.
    With ``x`` and ``y`` it is placed inside another SVG, ``size`` units wide.
    Raises TemplateSyntaxError for an unknown name.

    >>> icon("check2", "me-1")[:42]
    '<svg class="bi me-1" viewBox="0 0 16 16" f'
    """
    view_box, inner, own = _drawing(name)
    css = " ".join(filter(None, ("rp-icon" if own else "bi", css_class)))
    place = (
        format_html('class="{}"', css)
        if x is None or y is None
        else format_html(
            'class="{}" x="{}" y="{}" width="{}" height="{}"', css_class, x, y, size, size
        )
    )
    return format_html(
        '<svg {} viewBox="{}" fill="currentColor" aria-hidden="true" focusable="false">{}</svg>',
        place,
        view_box,
        mark_safe(inner),  # noqa: S308  our own or a vendored, hash-checked file
    )


@register.simple_tag
def pill(status: str | None) -> SafeString:
    """Show a status as icon and word; nothing for '' and 'not_asked'.

    ``status`` is a key of PILLS. Raises ValueError for any other word.
    """
    if status in WITHOUT_PILL:
        return SafeString("")
    if status not in PILLS:
        raise ValueError(f"'{status}' is no status. Use one of: {', '.join(PILLS)}.")
    shown = PILLS[status]
    return format_html(
        '<span class="rp-pill rp-pill--{}">{}{}</span>', shown.css, icon(shown.icon), shown.label
    )


@register.filter
def unbroken(text: object) -> str:
    """Keep ranges and days on one line, for headings and narrow cells.

    >>> unbroken("usually 82–95") == "usually 82\u2060–\u206095"
    True
    >>> unbroken("since 16 Nov") == "since 16\u00a0Nov"
    True
    """
    joined = re.sub(r"(?<=\d)–(?=\d)", "\u2060–\u2060", str(text))
    return re.sub(r"(?<=\d) (?=[^\W\d_]{3}\b)", "\u00a0", joined)


@register.inclusion_tag("components/typed_texts.html", takes_context=True)
def typed_texts(context: template.Context) -> dict[str, Any]:
    """What was typed into the form that the page answers, to be copied."""
    request: HttpRequest | None = context.get("request")
    texts = typed.typed_texts(request) if request else []
    if request and texts and not is_own_form(request):
        return {"is_withheld": True}
    return {"texts": texts}


@register.filter
def note_kind(level_tag: str) -> str:
    """Kind of note for a Django message level; a warning is for information, never amber."""
    return NOTE_KIND_OF_MESSAGE.get(level_tag, "info")


@register.filter
def options(field: BoundField) -> Iterator[object]:
    """The options of a choice field without the empty one: scales start untouched."""
    return (option for option in field if option.data["value"] not in ("", None))


def _slot(name: str, **context: object) -> SafeString:
    return render_to_string(f"components/{name}.html", context)


@register.simple_block_tag
def note(content: str, kind: str = "info", icon: str = "", alert: bool = False) -> SafeString:
    """Notice: ``{% note "info" %}text{% endnote %}``.

    ``kind``: info, ok, danger (form errors only), amber (possible rupture only), gold (repair
    only), plain. ``alert`` announces it at once.
    """
    shown = icon or NOTE_ICONS[kind]
    return _slot("note", content=content, kind=kind, icon_name=shown, alert=alert)


@register.simple_block_tag
def page_head(
    content: str, title: str, code: str = "", subtitle: str = "", status: str = ""
) -> SafeString:
    """Page title, its code, subtitle and pill; the slot holds the actions."""
    return _slot(
        "page_head", content=content, title=title, code=code, subtitle=subtitle, status=status
    )


@register.simple_block_tag
def section_head(content: str, title: str, id: str, count: object = None) -> SafeString:  # noqa: A002
    """Section title with an optional count; the slot holds a sentence or a link at the end."""
    return _slot("section_head", content=content, title=title, id=id, count=count)


@register.simple_block_tag
def empty_state(content: str, title: str, icon: str = "info-circle") -> SafeString:
    """What to do where nothing is shown yet; the slot holds sentence and action."""
    return _slot("empty_state", content=content, title=title, icon_name=icon)


@register.simple_block_tag
def hero_art(content: str, ring: str = "dash") -> SafeString:
    """Drawing above a page that says one thing; the slot holds the mark inside the rings.

    ``ring``: plate (something arrived), dash (something did not).
    """
    return _slot("hero_art", content=content, ring=ring)
