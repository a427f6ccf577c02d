from typing import Any

from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def begin_now(apps: Any, schema_editor: Any) -> None:
    """Addresses that are in use go on, until the person's sessions end the next time."""
    users = apps.get_model("accounts", "User").objects.filter(
        memberships=OuterRef("membership"), sessions_ended__gt=0
    )
    feeds = apps.get_model("exchange", "CalendarFeed").objects
    feeds.filter(membership__user__sessions_ended__gt=0).update(
        sessions_ended=Subquery(users.values("sessions_ended"))
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_joined_at"), ("exchange", "0004_note_review")]

    operations = [
        migrations.AddField(
            "calendarfeed",
            "sessions_ended",
            models.PositiveIntegerField(
                default=0, help_text="of the person when it was made: it ends with their sessions"
            ),
        ),
        migrations.RunPython(begin_now, migrations.RunPython.noop, elidable=True),
    ]
