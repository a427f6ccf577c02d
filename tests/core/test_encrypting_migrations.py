"""Texts of before encryption are sealed by the migrations, read back, and return by the reverse."""

from datetime import UTC, datetime
from typing import Any

from django.db import connection

from tests.migrating import migrate

PLAIN = [
    ("clients", "0002_row_security"),
    ("therapy_sessions", "0002_row_security"),
    ("alliance", "0002_row_security"),
    ("ruptures", "0004_worksheet"),
    ("core", "0004_keys"),
]
SEALED = [
    ("clients", "0003_encrypted_address"),
    ("therapy_sessions", "0003_encrypted_note"),
    ("alliance", "0003_encrypted_comment"),
    ("ruptures", "0005_encrypted_notes"),
]
TEXTS = {
    ("clients", "ContactChannel", "address"): "km@mail.example",
    ("therapy_sessions", "TherapySession", "not_asked_note"): "She was in a hurry",
    ("alliance", "AllianceRating", "comment"): "Hübsch – “gut”",
    ("ruptures", "RuptureEpisode", "outcome_reason"): "A holiday",
    ("ruptures", "Worksheet", "next_action"): "Ask again",
    ("ruptures", "StepNote", "note"): "Quiet",
}


def fill(apps: Any) -> None:
    """One client with a text in each column, as they were stored in plain."""
    now = datetime(2026, 3, 2, 12, tzinfo=UTC)

    def make(label: str, **values: Any) -> Any:
        return apps.get_model(label).objects.create(**values)

    practice = make(
        "accounts.Practice", name="Fernbank", sender_name="F", country="GB", time_zone="UTC"
    )
    ours = {"practice": practice}
    therapist = make("accounts.Membership", **ours, name="Alice", roles=["therapist"])
    client = make("clients.Client", **ours, code="A-1", initials="K", country="GB", time_zone="UTC")
    make(
        "clients.ContactChannel", **ours, client=client, kind="email", safe_to_contact=True,
        address=TEXTS["clients", "ContactChannel", "address"],
    )  # fmt: skip
    treatment = make(
        "clients.Treatment", **ours, client=client, therapist=therapist, starts_on=now.date()
    )
    session = make(
        "therapy_sessions.TherapySession", **ours, treatment=treatment, starts_at=now,
        attendance="attended", logged_at=now, not_asked_reason="other",
        not_asked_note=TEXTS["therapy_sessions", "TherapySession", "not_asked_note"],
    )  # fmt: skip
    questionnaire = make(
        "alliance.Questionnaire", **ours, key="form", version=1, title="Form", licence={}, items=[],
        detection_form="slider", minimum=0, maximum=10, low_label="a", high_label="b",
    )  # fmt: skip
    make(
        "alliance.AllianceRating", **ours, therapy_session=session, questionnaire=questionnaire,
        mode="link", answers={}, answered_at=now,
        comment=TEXTS["alliance", "AllianceRating", "comment"],
    )  # fmt: skip
    episode = make(
        "ruptures.RuptureEpisode", **ours, treatment=treatment, questionnaire=questionnaire,
        opened_by=session, opened_at=now, outcome="not_a_rupture", outcome_at=now,
        outcome_reason=TEXTS["ruptures", "RuptureEpisode", "outcome_reason"],
    )  # fmt: skip
    worksheet = make(
        "ruptures.Worksheet", **ours, episode=episode, version=1, saved_at=now,
        saved_by=therapist, next_action=TEXTS["ruptures", "Worksheet", "next_action"],
    )  # fmt: skip
    make(
        "ruptures.StepNote", **ours, worksheet=worksheet, step="notice",
        note=TEXTS["ruptures", "StepNote", "note"],
    )  # fmt: skip


def read(apps: Any) -> dict[tuple[str, str, str], str]:
    return {
        (app, model, column): getattr(apps.get_model(app, model).objects.get(), column)
        for app, model, column in TEXTS
    }


def stored(apps: Any) -> str:
    """The rows of these tables as text, as the database keeps them."""
    rows = []
    with connection.cursor() as cursor:
        for app, model, _column in TEXTS:
            table = apps.get_model(app, model)._meta.db_table
            cursor.execute(f"SELECT string_agg(t::text, ' ') FROM \"{table}\" t")
            rows.append(cursor.fetchone()[0])
    return " ".join(rows)


def test_texts_of_before_are_sealed_read_back_and_can_return(empty_database: None) -> None:
    plain = migrate(PLAIN)
    fill(plain)
    assert "She was in a hurry" in stored(plain)
    sealed = migrate(SEALED)
    assert read(sealed) == TEXTS
    assert not [text for text in TEXTS.values() if text in stored(sealed)]
    plain = migrate(PLAIN)
    assert read(plain) == TEXTS
    assert "She was in a hurry" in stored(plain)


def test_notes_of_meetings_are_sealed_by_a_key_of_the_practice_and_can_return(
    empty_database: None,
) -> None:
    plain = migrate([("supervision", "0001_initial"), ("core", "0004_keys")])
    practice = plain.get_model("accounts.Practice").objects.create(
        name="Fernbank", sender_name="F", country="GB", time_zone="UTC"
    )
    sam, alice = (
        plain.get_model("accounts.Membership").objects.create(
            practice=practice, name=name, roles=[name]
        )
        for name in ("supervisor", "therapist")
    )
    plain.get_model("supervision.Meeting").objects.create(
        practice=practice,
        supervisor=sam,
        supervisee=alice,
        starts_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
        notes="Pace",
        wish="Fees",
    )
    for target, is_plain in (("0002_sealed_notes", False), ("0001_initial", True)):
        meeting = migrate([("supervision", target)]).get_model("supervision.Meeting").objects.get()
        assert (meeting.notes, meeting.wish) == ("Pace", "Fees")
        with connection.cursor() as cursor:
            cursor.execute("SELECT t::text FROM supervision_meeting t")
            assert ("Pace" in cursor.fetchone()[0]) is is_plain
