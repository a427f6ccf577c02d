"""Make static/css/client.css: the part of Bootstrap and rapport.css that a client's pages use.

A client opens the form on an old phone with little data. Their pages need a tenth of the rules and
no font of ours, so they load one small sheet instead of two large ones. A rule is kept where every
class and element of its selector stands in a template of theirs. Run it after changing one of the
two sheets or a client's template (`make client-css`); a test tells when it was forgotten.
"""

import re
from collections.abc import Iterator

from tools.client_files import ROOT, pages

CSS = ROOT / "static" / "css"
MADE = CSS / "client.css"
SHEETS = (ROOT / "static/vendor/bootstrap/css/bootstrap.min.css", CSS / "rapport.css")
# Set by forms and tags, not by a template; elements as the browser knows them.
ALSO = {"is-invalid", "form-control", "bi", "rp-icon", "html", "root", "auto", "data-bs-theme"}


def used() -> set[str]:
    """Every word of a client's templates: more than their classes and elements, and never less."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in pages())
    said = re.sub(r"{% comment %}.*?{% endcomment %}", "", text, flags=re.DOTALL)
    words = set(re.findall(r"[\w-]+", said))
    # 'rp-note--{{ kind }}' is put together of words that stand in the templates.
    return words | {begun + word for begun in words if begun.endswith("-") for word in words}


def blocks(css: str) -> Iterator[tuple[str, str]]:
    """Prelude and body of each block of a sheet, at-rules with their blocks inside."""
    depth = start = opened = 0
    for place, sign in enumerate(css):
        if sign == "{":
            depth += 1
            if depth == 1:
                opened = place
        elif sign == "}":
            depth -= 1
            if depth == 0:
                yield css[start:opened].strip(), css[opened + 1 : place].strip()
                start = place + 1


def kept(css: str, words: set[str]) -> str:
    """The rules of a sheet that speak of nothing but `words`."""
    rules = []
    for prelude, body in blocks(css):
        if prelude.startswith(("@media", "@supports")):
            inside = kept(body, words)
            # Nobody prints a form; what else is asked of the device counts.
            if inside and "print" not in prelude:
                rules.append(f"{prelude}{{{inside}}}")
        elif not prelude.startswith("@"):
            parts = [part.strip() for part in split(prelude) if speaks_of(part, words)]
            if parts:
                rules.append(f"{','.join(parts)}{{{body}}}")
    return "\n".join(rules)


def split(selectors: str) -> list[str]:
    """A list of selectors, apart at commas that stand in no brackets."""
    return re.split(r",(?![^(]*\))", selectors)


def speaks_of(selector: str, words: set[str]) -> bool:
    if re.search(r"data-bs-theme=\"?(dark|light)", selector) or "::-webkit-calendar" in selector:
        return False
    bare = re.sub(r'"[^"]*"|::?[\w-]+', " ", selector)
    return set(re.findall(r"[a-zA-Z][\w-]*", bare)) <= words


def without_unused(css: str) -> str:
    """Custom properties that no kept rule reads are left out, and those that only they read."""
    while True:
        read = "|".join(sorted(set(re.findall(r"var\(--([\w-]+)", css))))
        unread = rf"--(?!(?:{read})\s*:)[\w-]+\s*:[^;{{}}]*(?:url\([^)]*\)[^;{{}}]*)?(?:;|(?=\}}))"
        less = re.sub(unread, "", css)
        if less == css:
            return re.sub(r"[^{}\n]*\{\s*\}\n?", "", css)
        css = less


def make() -> str:
    """The whole sheet."""
    words = used() | ALSO
    css = "\n".join(
        kept(re.sub(r"/\*.*?\*/|@charset[^;]*;", "", sheet.read_text("utf-8"), flags=re.S), words)
        for sheet in SHEETS
    )
    return f"/* Made by tools/client_css.py of two other sheets. */\n{without_unused(css)}\n"


if __name__ == "__main__":
    MADE.write_text(make(), encoding="utf-8")
