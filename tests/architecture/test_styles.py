"""The style sheet keeps its promises where a reader could not see them broken."""

import re
from pathlib import Path

from tools import client_css

ROOT = Path(__file__).resolve().parents[2]
SHEET = (ROOT / "static" / "css" / "rapport.css").read_text(encoding="utf-8")


def tokens(theme: str) -> dict[str, str]:
    block = re.search(rf'\[data-bs-theme="{theme}"\] \{{(.*?)\}}', SHEET, re.DOTALL)
    assert block is not None
    return dict(re.findall(r"(--rp-[\w-]+|color-scheme):\s*([^;]+);", block[1]))


def test_following_a_dark_device_gives_the_same_colours_as_choosing_dark() -> None:
    assert len(tokens("dark")) > 30
    assert tokens("auto") == tokens("dark")


def test_no_template_holds_inline_style_or_script() -> None:
    templates = list((ROOT / "templates").rglob("*.html"))
    assert templates
    for path in templates:
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"\sstyle\s*=|<style|<script(?![^>]*\ssrc=)|\son[a-z]+\s*=\s*[\"']", text
        ), path


def test_the_sheet_of_the_clients_pages_is_made_of_the_others_as_they_are() -> None:
    assert client_css.MADE.read_text(encoding="utf-8") == client_css.make()


def test_names_that_a_template_puts_together_keep_their_rules() -> None:
    made = client_css.make()
    for name in (".a-plate{", ".rp-note--danger{", ".rp-note--ok{"):
        assert name in made
    assert ".rp-note--gold{" not in made
