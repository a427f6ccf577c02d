"""Whose words are whose in a walk: each text is said once, and may stand on few people's pages."""

import re
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from typing import Any, NamedTuple
from uuid import UUID
from zipfile import ZipFile

from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, Role
from apps.accounts.permissions import Permission
from apps.clients.models import Client, Treatment
from apps.clients.turns import WAYS
from apps.endings.models import Move
from apps.ruptures.models import RuptureEpisode
from apps.supervision.models import Meeting
from tests.architecture.matrix.routes import ROUTES

# What a client may agree to pass on at a move, by kind of word.
PARTS = {"needs": Move.Part.NEEDS, "tried": Move.Part.TRIED, "comment": Move.Part.COMMENTS}


class Word(NamedTuple):
    """`kind` is what of the record it is; it was written, or answered, in a treatment."""

    text: str
    kind: str
    treatment: UUID
    at: datetime


class Words:
    """All that was said in a walk."""

    def __init__(self) -> None:
        self.said: dict[str, Word] = {}

    def say(self, kind: str, treatment: Treatment) -> str:
        """A text that nobody else says."""
        text = f"qxw{len(self.said)}q"
        self.said[text] = Word(text, kind, treatment.id, timezone.now())
        return text

    def seen_by(
        self, reader: Membership, client: Client, browser: Browser
    ) -> Iterator[tuple[Word, str]]:
        """Each word that the reader finds on a page about the client; raises where one fails."""
        for url in pages_about(client):
            response = browser.get(url)
            text = _text_of(response)
            assert response.status_code < 500, url
            if response.status_code == 200 and url == reverse("export_records", args=[client.id]):
                kept = re.findall(r'name="keep" value="([^"]+)"', text)
                sent = {"keep": kept, "reviewed": "on", "looked": "on"}
                text += _text_of(browser.post(url, sent))
            for each in set(re.findall(r"qxw\d+q", text)):
                yield self.said[each], url


def pages_about(client: Client) -> Iterator[str]:
    """Each page of staff that needs no id, or one that leads to the client, and each meeting's."""
    for name, route in ROUTES.items():
        if not (isinstance(route.who, Permission) and "GET" in route.methods):
            continue
        if not route.kwarg:
            yield reverse(name)
        elif route.kwarg in WAYS:
            of_client = Client.objects.filter(id=client.id).values_list(WAYS[route.kwarg])
            yield from (reverse(name, args=found) for found in of_client.distinct() if found[0])
        elif route.kwarg == "meeting_id":
            yield from (reverse(name, args=[each.id]) for each in Meeting.objects.all())


def may_read(reader: Membership, word: Word) -> bool:
    """Whose it is by product.md: a therapist's while they treat the client; of the treatment before
    what was passed on; a supervisor's what was said to them, or is shared with them."""
    treatment = Treatment.objects.select_related("client").get(id=word.treatment)
    treats = treatment.client.treatments.current(on=timezone.localdate())
    if reader.has_role(Role.SUPERVISOR):
        if word.kind == "why not asked":
            return True
        if not treats.filter(therapist=treatment.therapist).exists():
            return False
        shared = RuptureEpisode.objects.open().filter(notes_shared_at__isnull=False)
        return word.kind in {"support", "decision"} or (
            word.kind == "worksheet" and shared.filter(treatment=treatment).exists()
        )
    now = treats.filter(therapist=reader).first()
    if treatment.therapist_id == reader.id:
        return bool(now) or word.kind in {"review", "why not asked"}
    return bool(now) and _comes_along(word, treatment, now)


def _comes_along(word: Word, before: Treatment, now: Treatment) -> bool:
    """Whether who treats the client now may read what was said in a colleague's treatment."""
    if word.kind == "pause":
        return before.client.pause_reason == word.text
    moves = Move.objects.came_true(on=timezone.localdate()).filter(treatment=before)
    move = moves.filter(treatment__followed_by=now, saved_at__gte=word.at).first()
    return move is not None and PARTS.get(word.kind) in move.passes_on


def _text_of(response: Any) -> str:
    """What a page, or each file of a package, says."""
    content: bytes = b"".join(response) if response.streaming else response.content
    if content.startswith(b"PK"):
        package = ZipFile(BytesIO(content))
        content = b"\n".join(package.read(each) for each in package.namelist())
    return content.decode(errors="replace")
