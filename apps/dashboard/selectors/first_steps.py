"""How far a therapist who is new to Rapport has come, by what is there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from django.urls import reverse

from apps.dashboard.selectors.standing import Standing


@dataclass(frozen=True)
class FirstSteps:
    """The step to take now: 1 add a client, 2 agree on feedback, 3 log a session."""

    now: int
    agree_url: str = ""

    @classmethod
    def of(cls, standings: Sequence[Standing]) -> Self | None:
        """Of the therapist with these treatments; None once one of their sessions is logged.

        A client who would rather not be asked has been talked to as well.
        """
        if any(each.treatment.logged for each in standings):
            return None
        if not standings:
            return cls(now=1)
        clients = [each.treatment.client for each in standings]
        if any(each.discussed_on and each.consent for each in clients):
            return cls(now=3)
        return cls(now=2, agree_url=reverse("change_client", args=[clients[0].id]))
