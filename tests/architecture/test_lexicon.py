"""Words that Rapport never uses, in templates, translations, mails, documents and code's own texts.

product.md 'Rules that protect people', the design guide's 'Wording' and the glossary's 'avoid'.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.core.embedded import ROOT

# Never said about a client or a relationship, wherever it stands.
NEVER = re.compile(
    r"\brupture detected|\brisk scores?\b|\bat risk\b|\bnon-?complian|\bdisengaged\b"
    r"|\bprobabilit(?:y|ies) of (?:a )?rupture|\bfailing (?:client|therap|relationship|alliance)"
    r"|\bscore dropped|\byou overestimated|\bfailed repair",
    re.IGNORECASE,
)
# Never shown to anybody: on pages and in messages.
NEVER_SHOWN = re.compile(
    r"\bpatients?\b|\bclinicians?\b|\brisk(?:s|y)?\b|\bprobabilit|\bodds\b|\blikelihood\b"
    r"|\bseverity\b|\bresolved\b|\bconflict score|\bcut-?offs?\b"
    r"|\ball is well\b|\bnon-?complian|\boverestimated\b|\bdisengaged\b",
    re.IGNORECASE,
)
# What a client's message would tell about.
NEVER_SENT = re.compile(r"therap|counsel|session|mental|psycho|clinic|treatment", re.IGNORECASE)
TO_CLIENTS = "feedback_*.txt"
# Where documents have to name a word to forbid it.
QUOTES = {"docs/glossary.md", "README.md", "docs/clinical-safety.md"}


def template_text(source: str) -> str:
    """What a template can show: without comments, tags of HTML, and variables."""
    source = re.sub(r"{% comment %}.*?{% endcomment %}|{#.*?#}|{{.*?}}", " ", source, flags=re.S)
    return re.sub(r"<[^>]*>", " ", source)


def texts_of_code(source: str) -> Iterator[str]:
    """Strings that are marked for translation: what people can be shown."""
    marks = {"_", "gettext", "gettext_lazy", "ngettext", "pgettext"}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in marks:
            for each in node.args:
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value


def shown() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "templates").rglob("*")):
        if path.suffix in {".html", ".txt"}:
            yield str(path.relative_to(ROOT)), template_text(path.read_text())
    for path in sorted((ROOT / "apps").rglob("*.py")):
        yield str(path.relative_to(ROOT)), "\n".join(texts_of_code(path.read_text()))
    for path in sorted((ROOT / "locale").rglob("*.po")):
        yield str(path.relative_to(ROOT)), path.read_text()
    for path in sorted((ROOT / "apps").rglob("questionnaires/*.json")):
        yield str(path.relative_to(ROOT)), path.read_text()


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.yaml")]


def test_pages_mails_and_translations_use_no_forbidden_word() -> None:
    found = [
        f"{name}: {match[0]}"
        for name, text in shown()
        for match in (*NEVER.finditer(text), *NEVER_SHOWN.finditer(text))
    ]
    assert not found
    assert sum(1 for _ in shown()) > 100


def test_documents_use_no_forbidden_word_but_to_forbid_it() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in documents()
        if str(path.relative_to(ROOT)) not in QUOTES
        for match in NEVER.finditer(path.read_text())
    ]
    assert not found


def test_no_message_to_a_client_tells_what_it_is_about() -> None:
    messages = list((ROOT / "templates" / "messages").glob(TO_CLIENTS))
    assert messages
    found = [
        f"{path.name}: {match[0]}"
        for path in messages
        for match in NEVER_SENT.finditer(template_text(path.read_text()))
    ]
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "Rupture detected", "Risk score 7", "This client is at risk.", "Patient", "the odds are",
        "Score dropped critically", "non-compliant", "Probability of a rupture: 80",
    ],
)  # fmt: skip
def test_each_word_would_be_found(text: str) -> None:
    assert NEVER.search(text) or NEVER_SHOWN.search(text)
