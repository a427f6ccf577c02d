"""Treatments of before become one chain for each client, and where a move leads stays."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.core import tenancy
from tests.migrating import migrate

BEFORE = [("clients", "0018_treatment_leads_to"), ("endings", "0004_leads_to")]
AFTER = [("clients", "0021_one_chain"), ("endings", "0006_where_a_move_leads")]


class Client:
    """A client of before, with treatments by name."""

    def __init__(self, apps: Any, practice: Any, code: str) -> None:
        self.apps, self.practice, self.today = apps, practice, timezone.localdate()
        self.client = self.make(
            "clients.Client", code=code, initials="K", country="GB", time_zone="UTC"
        )
        self.made: dict[str, Any] = {}

    def make(self, label: str, **values: Any) -> Any:
        return self.apps.get_model(label).objects.create(practice=self.practice, **values)

    def treatment(self, name: str, starts: int, ends: int | None, *, follows: str = "") -> None:
        """Days are counted from today."""
        self.made[name] = self.make(
            "clients.Treatment",
            client=self.client,
            therapist=self.make("accounts.Membership", name=name, roles=["therapist"]),
            starts_on=self.today + timedelta(days=starts),
            ends_on=None if ends is None else self.today + timedelta(days=ends),
            follows=self.made.get(follows),
        )

    def close(self, name: str, *, hour: int) -> None:
        treatment = self.made[name]
        self.make(
            "endings.Ending", treatment=treatment, how="agreed", review="",
            closed_at=datetime(2026, 3, 2, hour, tzinfo=UTC), closed_by=treatment.therapist,
        )  # fmt: skip

    def chain(self, apps: Any) -> str:
        """Names in order."""
        treatments = apps.get_model("clients", "Treatment").objects.filter(client=self.client.id)
        names = {each.id: name for name, each in self.made.items()}
        after = {each.follows_id: each.id for each in treatments}
        assert len(after) == len(names), "one follows each"
        found, last = [], None
        while last in after:
            last = after[last]
            found.append(names[last])
        return " ".join(found)


def test_what_was_begun_again_follows_and_what_followed_follows_as_before(
    empty_database: None,
) -> None:
    apps = migrate(BEFORE)
    practice = apps.get_model("accounts", "Practice").objects.create(
        name="Fernbank", sender_name="F", country="GB", time_zone="UTC"
    )
    with tenancy.practice(practice.id):
        again = Client(apps, practice, "A-1")
        again.treatment("moved", -90, -60)
        again.treatment("closed", -60, -30, follows="moved")
        again.close("closed", hour=9)
        again.treatment("open", -10, 5)
        again.treatment("to come", 5, None, follows="open")

        one_day = Client(apps, practice, "A-2")
        one_day.treatment("third", 0, 0)
        one_day.close("third", hour=11)
        one_day.treatment("first", -60, 0)
        one_day.close("first", hour=9)
        one_day.treatment("second", 0, 0)
        one_day.close("second", hour=10)

        taken_back = Client(apps, practice, "A-3")
        taken_back.treatment("gave", -60, 0)
        taken_back.treatment("for an hour", 0, 0, follows="gave")
        taken_back.treatment("stands", 0, None, follows="gave")

        with_nobody_else = Client(apps, practice, "A-4")
        with_nobody_else.treatment("alone", -20, None)
    apps = migrate(AFTER)
    with tenancy.practice(practice.id):
        assert again.chain(apps) == "moved closed open to come"
        assert one_day.chain(apps) == "first second third"
        assert taken_back.chain(apps) == "for an hour gave stands"
        assert with_nobody_else.chain(apps) == "alone"
