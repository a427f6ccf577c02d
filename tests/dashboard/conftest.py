"""Noon on a Thursday, and whole caseloads made quickly."""

import re
from collections.abc import Callable, Iterator
from copy import copy
from datetime import UTC, datetime
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.db import models
from django.http import HttpResponse

from apps.accounts.models import Membership
from apps.clients.models import Client, Treatment
from tests.factories import TherapySessionFactory, TreatmentFactory

NOON = datetime(2026, 11, 19, 12, 24, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def words() -> Callable[[HttpResponse], str]:
    """What a page says: its text without tags, spaces as one."""

    def words(response: HttpResponse) -> str:
        text = re.sub(r"<[^>]+>", " ", response.content.decode())
        return re.sub(r"\s+", " ", unescape(text).replace("\u2060", "")).strip()

    return words


def _copied(row: models.Model, **changes: Any) -> Any:
    twin = copy(row)
    twin._state = copy(row._state)
    twin._state.adding = True
    twin._state.fields_cache = {}
    twin.pk = uuid4()
    for name, value in changes.items():
        setattr(twin, name, value)
    return twin


@pytest.fixture
def falling_caseload() -> Callable[..., None]:
    """Give each therapist one more treatment with a flag, by copying rows instead of screening."""

    def falling_caseload(therapists: list[Membership]) -> None:
        first = TreatmentFactory.create(therapist=therapists[0], falling=True)
        TherapySessionFactory.create(
            treatment=first, starts_at=datetime(2026, 11, 19, 15, tzinfo=UTC), attendance=""
        )
        rows: dict[type[models.Model], list[models.Model]] = {Client: [], Treatment: []}
        for therapist in therapists[1:]:
            client = _copied(first.client, code=f"X-{uuid4().hex[:8]}")
            treatment = _copied(first, client=client, therapist=therapist)
            rows[Client].append(client)
            rows[Treatment].append(treatment)
            twins = {}
            for session in first.therapy_sessions.all():
                twins[session.id] = _copied(session, treatment=treatment)
                rows.setdefault(type(session), []).append(twins[session.id])
            for session in first.therapy_sessions.all():
                for rating in session.ratings.all():
                    twin = _copied(rating, therapy_session=twins[session.id])
                    rows.setdefault(type(rating), []).append(twin)
            for screening in first.screenings.all():
                twin = _copied(
                    screening,
                    treatment=treatment,
                    therapy_session=twins[screening.therapy_session_id],
                )
                rows.setdefault(type(screening), []).append(twin)
            for episode in first.episodes.all():
                twin = _copied(episode, treatment=treatment, opened_by=twins[episode.opened_by_id])
                rows.setdefault(type(episode), []).append(twin)
        for model, made in rows.items():
            model._default_manager.bulk_create(made)

    return falling_caseload
