"""Which figures a practice screens with, and how they change: proposed, replayed, then decided.

Without a confirmed change the rule that comes with Rapport is in force. A change has a version of
its own and begins with the moment a person confirms it; what was flagged before stays as it was: a
step that is screened anew keeps the rule of before.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from math import isfinite
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Membership, Practice
from apps.core import audit
from apps.ruptures.detection import PARAMETERS, RULE_VERSION, RULES, Parameters
from apps.ruptures.models import RuleChange

SHARES = frozenset(
    {
        "hazard", "exit", "settle", "gap_fraction", "outlier_share", "silence_lift",
        "watch", "possible", "marked", "close", "settled",
    }
)  # fmt: skip
POSITIVE = frozenset({"spread_between", "spread_within", "noise_prior_weight", "noise_floor"})


@dataclass(frozen=True)
class Rule:
    """A version by name, and its figures."""

    version: str
    parameters: Parameters


def rule_in_force(practice_id: UUID, detection_form: str, *, at: datetime | None = None) -> Rule:
    """What the practice screens this form with at `at` (now)."""
    confirmed = (
        RuleChange.objects.filter(
            practice=practice_id,
            detection_form=detection_form,
            decision=RuleChange.Decision.CONFIRMED,
            decided_at__lte=at or timezone.now(),
        )
        .order_by("-decided_at")
        .first()
    )
    if confirmed is None or confirmed.parameters is None:
        return Rule(RULE_VERSION, PARAMETERS[detection_form])
    return Rule(confirmed.version, read_parameters(detection_form, confirmed.parameters))


def rule_of_version(practice_id: UUID, detection_form: str, version: str) -> Rule:
    """A shipped rule, or one that the practice confirmed once."""
    if version in RULES:
        return Rule(version, RULES[version][detection_form])
    confirmed = RuleChange.objects.get(practice=practice_id, version=version)
    return Rule(version, read_parameters(detection_form, confirmed.parameters or {}))


def read_parameters(detection_form: str, figures: dict[str, Any]) -> Parameters:
    """The shipped figures of a form with these in their place, by the names of `Parameters`.

    >>> read_parameters("form5", {"mean_first": 68}).mean_first
    68.0

    Raises:
        ValidationError: a name is unknown, or a figure is none of its kind; the message says which.
    """
    shipped = PARAMETERS[detection_form]
    known = {field.name: getattr(shipped, field.name) for field in fields(shipped)}
    changed: dict[str, Any] = {}
    for name, figure in figures.items():
        if name not in known:
            raise ValidationError(f"There is no figure {name!r}; there are: {', '.join(known)}.")
        try:
            changed[name] = _within(name, _like(known[name], figure))
        except (TypeError, ValueError) as error:
            expected = f"{error}, such as {json.dumps(known[name])}"
            raise ValidationError(f"{name} is {figure!r}; expected {expected}.") from error
    return replace(shipped, **changed)


def _like(example: Any, figure: Any) -> Any:
    """`figure` as the kind of `example`: text, whole number, number, or as many numbers."""
    if isinstance(example, tuple):
        if not isinstance(figure, list | tuple) or len(figure) != len(example):
            raise ValueError("as many numbers")
        return tuple(_like(one, other) for one, other in zip(example, figure, strict=True))
    if isinstance(example, str) or isinstance(figure, str | bool):
        if figure != example:
            raise ValueError("not to be changed")
        return figure
    number = type(example)(figure)
    if number != figure or not isfinite(number):
        raise ValueError("a number of this kind")
    return number


def _within(name: str, figure: Any) -> Any:
    if name in SHARES and not 0 < figure < 1:
        raise ValueError("a share between 0 and 1")
    if name in POSITIVE and figure <= 0:
        raise ValueError("a number above 0")
    return figure


def differences(old: Parameters, new: Parameters) -> list[tuple[str, Any, Any]]:
    """The figures that differ, as (name, old, new)."""
    return [
        (name, figure, asdict(new)[name])
        for name, figure in asdict(old).items()
        if figure != asdict(new)[name]
    ]


@transaction.atomic
def propose_change(
    *,
    practice: Practice,
    detection_form: str,
    parameters: Parameters | None = None,
    by: Membership | None,
) -> RuleChange:
    """Put other figures up for decision; without `parameters` local norms are still to come.

    Raises:
        ValidationError: another proposal waits for its decision.
    """
    ours = RuleChange.objects.select_for_update().filter(practice=practice)
    if any(not change.decision for change in ours):
        raise ValidationError(_("Decide first about the change that is proposed already."))
    change = RuleChange.objects.create(
        practice=practice,
        detection_form=detection_form,
        version=f"{RULE_VERSION}+local.{len(ours) + 1}",
        parameters=asdict(parameters) if parameters else None,
        proposed_by=by,
    )
    audit.record("propose rule change", change, by=by)
    return change


def undecided_change(practice: Practice, change_id: UUID) -> RuleChange | None:
    """The practice's change of this id, locked, while it waits for a decision."""
    waiting = RuleChange.objects.select_for_update(of=("self",)).filter(
        practice=practice, decision=""
    )
    return waiting.filter(id=change_id).first()


@transaction.atomic
def decide_change(
    *, change: RuleChange, decision: RuleChange.Decision, reason: str, by: Membership
) -> None:
    """Use the proposed figures from now on, or keep the ones in force. What is decided stays.

    Raises:
        IntegrityError: confirmed without a reason, or before it was replayed.
    """
    if change.decision:
        return
    change.decision = decision
    change.reason = reason
    change.decided_at = timezone.now()
    change.decided_by = by
    change.save(update_fields=["decision", "reason", "decided_at", "decided_by"])
    action = "confirm rule change" if decision == RuleChange.Decision.CONFIRMED else "keep rule"
    audit.record(action, change, by=by)
