"""Where a person in need finds help at once: the crisis lines of a country.

They stand in `crisis_lines.json`: by ISO 3166 country a list of {"service", "note", "number",
"source", "checked_on"}, the emergency number first; "" holds what is shown where the country is
unknown or not listed. A service keeps its own name in every language; a note is one of `NOTES` and
is translated. Whoever adds or changes a line looks at its source and dates it.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.utils.translation import gettext, gettext_noop, pgettext

FILE = Path(__file__).parent / "crisis_lines.json"


NOTES = (
    gettext_noop("Emergency"),
    gettext_noop("Emergency, same service"),
    gettext_noop("Emergency in Europe and from most mobile phones"),
    gettext_noop("Ambulance"),
    gettext_noop("ambulance"),
    gettext_noop("Suicide prevention, free, day and night"),
    gettext_noop("urgent help line"),
    gettext_noop("free, day and night"),
    gettext_noop("day and night"),
    gettext_noop("second number"),
    gettext_noop("in Dutch, day and night"),
    gettext_noop("in French, free, day and night"),
    gettext_noop("Help lines in other countries"),
)


@dataclass(frozen=True)
class CrisisLine:
    """One line of help: a telephone number, or an address on the web."""

    service: str
    note: str
    number: str

    @property
    def name(self) -> str:
        """The service and its note in the page's language: 'Samaritans, free, day and night'."""
        note = gettext(self.note)
        if not self.service:
            return note
        return pgettext("crisis line", "%(service)s, %(note)s") % {
            "service": self.service,
            "note": note,
        }

    @property
    def href(self) -> str:
        return telephone(self.number) or f"https://{self.number}"


def telephone(number: str) -> str:
    """The tel: link of a number as written; '' where it holds no number.

    >>> telephone("+44 (0)20 7946 0018"), telephone("0800-0113"), telephone("findahelpline.com")
    ('tel:+442079460018', 'tel:08000113', '')
    """
    without_words = re.split(r"[A-Za-z]", number.strip())[0]
    if without_words.startswith("+"):
        without_words = without_words.replace("(0)", "")
    digits = re.sub(r"[^\d+]", "", without_words)
    return f"tel:{digits}" if digits else ""


def crisis_lines(*countries: str) -> tuple[CrisisLine, ...]:
    """The lines of the first of these countries that has any, else the international ones.

    Args:
        countries: ISO 3166 codes, the client's before the practice's.

    >>> [line.number for line in crisis_lines("ZZ", "GB")]
    ['999', '116 123', '111']
    >>> [line.number for line in crisis_lines("ZZ")]
    ['112', 'findahelpline.com']
    """
    by_country = _by_country()
    known = (by_country[each] for each in filter(None, countries) if each in by_country)
    return next(known, by_country[""])


@cache
def _by_country() -> dict[str, tuple[CrisisLine, ...]]:
    data = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        country: tuple(CrisisLine(line["service"], line["note"], line["number"]) for line in lines)
        for country, lines in data.items()
    }
