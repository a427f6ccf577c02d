"""`manage.py show_locale de --out FILE`: a language's client pages beside the English ones."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management.base import BaseCommand, CommandParser
from django.template.loader import render_to_string
from django.utils.html import escape

from apps.feedback.specimens import specimens

SHEET = '<link rel="stylesheet" href="/static/css/client.css">'


class Command(BaseCommand):
    help = (
        "Write every page and message of a client in one language beside the English ones, into "
        "one HTML file for whoever reviews the translation. All content is invented."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        codes = [code for code, _name in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
        parser.add_argument("language", choices=codes)
        parser.add_argument("--out", type=Path, help="file to write; default: locale-LANGUAGE.html")

    def handle(self, *args: Any, **options: Any) -> None:
        language = options["language"]
        path = options["out"] or Path(f"locale-{language}.html")
        pairs = zip(specimens(settings.LANGUAGE_CODE), specimens(language), strict=True)
        context = {"language": dict(settings.LANGUAGES)[language], "pairs": list(pairs)}
        html = str(render_to_string("feedback/review.html", context))
        # One file that can be mailed: the sheet stands inside every page of it.
        sheet = Path(str(finders.find("css/client.css"))).read_text(encoding="utf-8")
        html = html.replace(escape(SHEET), escape(f"<style>{sheet}</style>"))
        path.write_text(html, encoding="utf-8")
        self.stdout.write(f"Written: {path}")
