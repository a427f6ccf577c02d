"""Writes about questionnaires and ratings."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Membership, Practice
from apps.alliance.models import AllianceRating, Questionnaire
from apps.alliance.scoring import pomp, subscale_pomps
from apps.clients.models import Treatment
from apps.core import audit
from apps.therapy_sessions.models import TherapySession

SHIPPED = Path(__file__).parent / "questionnaires"
ACCEPTED_FOR = timedelta(days=7)


@transaction.atomic
def install_questionnaire(
    *, practice: Practice, path: Path, by: Membership | None
) -> Questionnaire:
    """Install a questionnaire's data file in a practice; a version installed before is kept.

    The file is JSON as in `apps/alliance/questionnaires/`: key, version, title, validated,
    licence, detection_form, scale, and items with id, subscale (bond, goals, tasks) and text.

    Raises:
        ValidationError: the file is no such questionnaire; the message says what is wrong.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        items = [{key: item[key] for key in ("id", "subscale", "text")} for item in data["items"]]
        scale = data["scale"]
        values = {
            "title": data["title"],
            "validated": data["validated"],
            "licence": data["licence"],
            "detection_form": data["detection_form"],
            "minimum": scale["minimum"],
            "maximum": scale["maximum"],
            "low_label": scale.get("low_label", ""),
            "high_label": scale.get("high_label", ""),
            "items": items,
        }
        key, version = data["key"], data["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValidationError(f"{path} is no questionnaire file: {error!r}") from error
    if not isinstance(values["licence"], dict) or "attested_on" not in values["licence"]:
        raise ValidationError(f'{path}: licence is {{"name", "source", "attested_on"}}.')
    subscales = {item["subscale"] for item in items}
    if not items or not subscales <= {"bond", "goals", "tasks"}:
        raise ValidationError(f"{path}: subscales are bond, goals and tasks, not {subscales}.")
    installed = Questionnaire.objects.filter(practice=practice, key=key, version=version).first()
    if installed:
        return installed
    questionnaire = Questionnaire(practice=practice, key=key, version=version, **values)
    questionnaire.full_clean()
    questionnaire.save()
    audit.record("install questionnaire", questionnaire, by=by)
    return questionnaire


def install_shipped_questionnaires(*, practice: Practice, by: Membership | None) -> None:
    """Install every questionnaire that comes with Rapport."""
    for path in sorted(SHIPPED.glob("*.json")):
        install_questionnaire(practice=practice, path=path, by=by)


def accepted_until(therapy_session: TherapySession) -> datetime:
    """Moment up to which a rating counts: the next session's start or the end of the treatment,
    after which nobody reads it, and 7 days at most."""
    week = therapy_session.starts_at + ACCEPTED_FOR
    ends = (week, therapy_session.next_starts_at(), therapy_session.treatment.ends_at)
    return min(end for end in ends if end)


def build_rating(
    *,
    therapy_session: TherapySession,
    questionnaire: Questionnaire,
    answers: Mapping[str, int],
    mode: AllianceRating.Mode,
    answered_at: datetime,
    is_late: bool = False,
    **also: Any,
) -> AllianceRating:
    """An unsaved client rating with its scores; ValidationError for an answer off the scale."""
    ids = [item["id"] for item in questionnaire.items]
    unknown = sorted(set(answers) - set(ids))
    if unknown:
        raise ValidationError(_("No such item: %(items)s.") % {"items": ", ".join(unknown)})
    try:
        total = pomp([answers.get(item) for item in ids], questionnaire.scale)
    except ValueError as error:
        raise ValidationError(str(error)) from error
    subscales = subscale_pomps(answers, questionnaire.subscales, questionnaire.scale)
    return AllianceRating(
        practice_id=therapy_session.practice_id,
        therapy_session=therapy_session,
        questionnaire=questionnaire,
        mode=mode,
        answers=dict(answers),
        pomp=total,
        bond=subscales.get("bond"),
        goals=subscales.get("goals"),
        tasks=subscales.get("tasks"),
        answered_at=answered_at,
        is_late=is_late,
        **also,
    )


@transaction.atomic
def record_rating(
    *,
    therapy_session: TherapySession,
    questionnaire: Questionnaire,
    answers: Mapping[str, int],
    mode: AllianceRating.Mode,
    answered_at: datetime,
    by: Membership | None,
    **also: Any,
) -> AllianceRating:
    """Score and store the client's answers about one session; a late rating is marked so.

    `also` may hold entered_at, tension, tension_resolved, causes and comment. A second rating of
    the same session raises IntegrityError: the first counts.
    """
    rating = build_rating(
        therapy_session=therapy_session,
        questionnaire=questionnaire,
        answers=answers,
        mode=mode,
        answered_at=answered_at,
        is_late=answered_at >= accepted_until(therapy_session),
        **also,
    )
    rating.save()
    audit.record("record rating", rating, client_id=therapy_session.treatment.client_id, by=by)
    return rating


@transaction.atomic
def count_what_is_in_time(treatment: Treatment) -> list[TherapySession]:
    """Let ratings count that were late only by what the sessions were before, as long as they are
    in time; returns the sessions of those that changed. One that was in time as it was given stays
    so, whatever is planned or logged since.
    """
    given_late = AllianceRating.objects.filter(
        Q(is_late=True, answered_at__lt=F("therapy_session__starts_at") + ACCEPTED_FOR)
        | Q(counted_at__isnull=False),
        therapy_session__treatment=treatment,
    )
    changed = [
        rating
        for rating in given_late.select_related("therapy_session__treatment__practice")
        if rating.is_late == (rating.answered_at < accepted_until(rating.therapy_session))
    ]
    for rating in changed:
        rating.is_late = not rating.is_late
        # The first time counts: a day that is corrected to and fro makes no rating younger.
        rating.counted_at = rating.counted_at or timezone.now()
    AllianceRating.objects.bulk_update(changed, ["is_late", "counted_at"])
    return [rating.therapy_session for rating in changed]
