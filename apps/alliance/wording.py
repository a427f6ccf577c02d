"""What a questionnaire says in the language of whoever answers it.

The questions a practice installed hold their original wording; translations stand in the data file
that comes with Rapport, under "translations": by language {"low_label", "high_label", "items": {id:
text}}. They may be mended without a new version: what is asked stays the same. None has been
clinically validated, and the form says so.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from apps.alliance.models import Questionnaire
from apps.alliance.services import SHIPPED


@dataclass(frozen=True)
class Wording:
    """The texts of a questionnaire in one language; `items` by the item's id."""

    items: Mapping[str, str]
    low_label: str
    high_label: str
    is_translation: bool = False


def wording_of(questionnaire: Questionnaire, language: str) -> Wording:
    """The questionnaire in `language` (e.g. 'de'), in its original wording where that has none."""
    translated = _translations(questionnaire.key, questionnaire.version).get(language)
    if translated:
        return Wording(
            translated["items"],
            translated["low_label"],
            translated["high_label"],
            is_translation=True,
        )
    return Wording(
        {item["id"]: item["text"] for item in questionnaire.items},
        questionnaire.low_label,
        questionnaire.high_label,
    )


@cache
def _translations(key: str, version: int) -> dict[str, Any]:
    path = SHIPPED / f"{key}.v{version}.json"
    if not path.is_file():
        return {}
    translations: dict[str, Any] = json.loads(path.read_text("utf-8")).get("translations", {})
    return translations
