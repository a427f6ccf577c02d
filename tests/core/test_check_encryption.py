"""`manage.py check_encryption` tells ciphertext from everything else, and prints none of it."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.accounts.models import Membership
from apps.core.fields import encrypted_fields
from apps.therapy_sessions.models import TherapySession
from tests.factories import TreatmentFactory, comment_on, rate

COMMENT = "alliance_alliancerating.comment"


@pytest.fixture
def sessions(alice: Membership) -> list[TherapySession]:
    """Two sessions with a comment each."""
    sessions = rate(TreatmentFactory.create(therapist=alice), [80, 82])
    for session in sessions:
        comment_on(session, "a secret word")
    return sessions


def test_each_column_is_ciphertext_and_none_is_printed(
    sessions: list[TherapySession], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("check_encryption")
    said = capsys.readouterr().out
    assert f"{COMMENT}: 2 values, 2 sealed, 0 erased, 0 plain, 0 unreadable" in said
    assert said.count(" values, ") == len(encrypted_fields())
    assert "100 % of the values" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ("SET comment = 'a secret word'::bytea", "0 sealed, 0 erased, 2 plain, 0 unreadable"),
        (
            "SET comment = set_byte(comment, 40, 255 - get_byte(comment, 40))",
            "0 sealed, 0 erased, 0 plain, 2 unreadable",
        ),
    ],
)
def test_plain_text_and_a_changed_byte_fail(
    sessions: list[TherapySession], capsys: pytest.CaptureFixture[str], change: str, counts: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE alliance_alliancerating {change}")
    with pytest.raises(CommandError, match="2 values are not sealed"):
        call_command("check_encryption")
    assert f"{COMMENT}: 2 values, {counts}" in capsys.readouterr().out
