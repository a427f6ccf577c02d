"""What the worker does for accounts."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from apps.accounts.tasks import forget_ended_sessions


@pytest.mark.django_db
def test_ended_sessions_are_deleted_and_others_stay() -> None:
    now = timezone.now()
    Session.objects.create(session_key="over", session_data="", expire_date=now)
    Session.objects.create(session_key="on", session_data="", expire_date=now + timedelta(hours=1))
    forget_ended_sessions()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["on"]
