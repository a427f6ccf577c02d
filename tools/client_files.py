"""Which files make up what a client sees: their sheet and their translations are made of these."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "templates"
LAYOUT = '{% extends "layouts/client.html" %}'
FRAGMENTS = ("kept_comment", "send_again", "shown_once")
COMPONENTS = (
    "crisis", "field_errors", "field_help", "form_errors", "hero_art", "language_menu", "note",
)  # fmt: skip
# Whole modules; elsewhere a client's words have the context "client".
MODULES = ("apps/feedback/crisis.py", "apps/feedback/forms.py")


def pages() -> list[Path]:
    """Templates of the client's pages."""
    return [
        *(path for path in TEMPLATES.rglob("*.html") if path.read_text("utf-8").startswith(LAYOUT)),
        *(TEMPLATES / "feedback" / f"{name}.html" for name in FRAGMENTS),
        TEMPLATES / "base.html",
        TEMPLATES / "layouts" / "client.html",
        *(TEMPLATES / "components" / f"{name}.html" for name in COMPONENTS),
        *(TEMPLATES / "forms").glob("*.html"),
    ]


def messages() -> list[Path]:
    """Templates of the messages to clients."""
    return list((TEMPLATES / "messages").glob("feedback_*.txt"))
