"""The translations of what clients see: `locale/<language>/LC_MESSAGES/django.po`, and compiled.

`make catalogues` takes new texts into every catalogue, drops those that no page says any more, and
compiles. Only what a client sees is translated (`client_files.py`); pages of staff are English.
The prompts for repairs can be: `locale/repair-prompts.pot` lists them, and those of them that a
catalogue has translated stay in it.
The compiled files are committed: who runs Rapport needs neither gettext nor this.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import django
from babel.messages import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

from tools.client_files import MODULES, ROOT, messages, pages

KEYWORDS = DEFAULT_KEYWORDS | {
    "gettext_lazy": None,
    "gettext_noop": None,
    "pgettext_lazy": ((1, "c"), 2),
}
CLIENT = "client"
HEADER = """msgid ""
msgstr ""
"Language: {language}\\n"
"Plural-Forms: {plurals}\\n"
"Content-Type: text/plain; charset=utf-8\\n"

"""
TEMPLATE = ROOT / "locale" / "repair-prompts.pot"
NO_TIME = datetime(2026, 1, 1, tzinfo=UTC)


class Said(NamedTuple):
    """One text a client can see: where, its context, and its English; a pair where counted."""

    where: str
    context: str | None
    text: str | tuple[str, ...]


def said() -> list[Said]:
    """Every text that a client can see, in order of the files."""
    found = []
    for path in sorted([*pages(), *messages()]):
        # What the template says as calls of Python; indentation means nothing in it.
        calls = templatize(path.read_text(encoding="utf-8"))
        found += _extracted(path, "\n".join(line.strip() for line in calls.splitlines()))
    for path in sorted((ROOT / "apps").rglob("*.py")):
        whole = str(path.relative_to(ROOT)) in MODULES
        found += [
            each
            for each in _extracted(path, path.read_text(encoding="utf-8"))
            if whole or each.context == CLIENT
        ]
    return found


def _extracted(path: Path, source: str) -> list[Said]:
    calls = extract("python", BytesIO(source.encode()), keywords=KEYWORDS)
    where = str(path.relative_to(ROOT))
    return [Said(where, context, text) for _line, text, _comments, context in calls]


def prompts() -> list[str]:
    """Every text of the prompts for repairs, in order of their file."""
    # Only once Django is set up.
    from apps.ruptures.repair_prompts import prompt_file

    texts = [text for each in prompt_file().prompts for text in (each.text, each.say) if text]
    return list(dict.fromkeys(texts))


def template() -> bytes:
    """The prompts for who translates them: copy into the catalogue what you have translated."""
    catalog = Catalog()
    for text in prompts():
        catalog.add(text)
    return written(catalog)


def catalogue(language: str) -> Path:
    return ROOT / "locale" / language / "LC_MESSAGES" / "django.po"


def read(language: str) -> Catalog:
    """The language's catalogue as it is; an empty one for a new language."""
    path = catalogue(language)
    if not path.is_file():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def updated(language: str) -> Catalog:
    """The catalogue with exactly what is said now; new texts are empty, none is guessed."""
    old, new = read(language), Catalog(locale=language)
    for each in said():
        known = old.get(each.text if isinstance(each.text, str) else each.text[0], each.context)
        new.add(
            each.text,
            known.string if known else None,
            locations=[(each.where, 0)],
            context=each.context,
        )
    for text in prompts():
        known = old.get(text)
        if known and known.string:
            new.add(text, known.string)
    return new


def written(catalog: Catalog) -> bytes:
    """The catalogue as text, without names and times that would change with every run."""
    made = BytesIO()
    write_po(made, catalog, width=99, omit_header=True, include_lineno=False)
    header = HEADER.format(language=catalog.locale or "", plurals=catalog.plural_forms)
    return header.encode() + made.getvalue()


def compiled(language: str) -> bytes:
    """What the program reads: the catalogue in gettext's binary form."""
    made, catalog = BytesIO(), read(language)
    catalog.creation_date = catalog.revision_date = NO_TIME
    write_mo(made, catalog)
    return made.getvalue()


def translations() -> list[str]:
    """The languages that need a catalogue: all but the one everything is written in."""
    return [code for code, _name in settings.LANGUAGES if code != settings.LANGUAGE_CODE]


def main() -> int:
    """Bring every catalogue up to date; 1 where something is left to translate."""
    left = 0
    TEMPLATE.write_bytes(template())
    for language in translations():
        path = catalogue(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written(updated(language)))
        path.with_suffix(".mo").write_bytes(compiled(language))
        empty = [each.id for each in read(language) if each.id and not all(forms(each.string))]
        left += len(empty)
        sys.stdout.write(
            f"{language}: {len(empty)} left to translate in {path.relative_to(ROOT)}\n"
        )
    return 1 if left else 0


def forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    """A text's forms: one, or as many as the language counts by."""
    return (text,) if isinstance(text, str) else tuple(text or ("",))


if __name__ == "__main__":
    django.setup()
    sys.exit(main())
