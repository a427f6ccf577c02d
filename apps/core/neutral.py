"""Words that no message says: whoever sees one learns nothing of therapy."""

import json
import re
import unicodedata
from itertools import chain
from pathlib import Path

# Pieces of words, by language, as patterns.
NEVER_SENT: dict[str, list[str]] = json.loads(
    Path(__file__).with_name("never_sent.json").read_text("utf-8")
)
TELLING = re.compile("|".join(chain.from_iterable(NEVER_SENT.values())), re.IGNORECASE)


def telling_word(text: str) -> str:
    """The first word of a text that tells of therapy in whatever language; empty where none does.

    >>> telling_word("Praxis Fernbank"), telling_word("Fernbank")
    ('Praxis', '')
    """
    words = unicodedata.normalize("NFKC", text).split()
    return next((word for word in words if TELLING.search(word)), "")
