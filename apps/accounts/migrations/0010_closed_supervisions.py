from datetime import timedelta

from django.db import migrations
from django.db.models import F, Q
from django.db.models.functions import Greatest
from django.utils import timezone


def end_those_of_who_left(apps, schema_editor):
    """Where the supervisor's place is closed, or the role is gone, a link opens no more."""
    today = timezone.localdate()
    given = apps.get_model("accounts", "Supervision").objects.filter(
        Q(supervisor__is_active=False) | ~Q(supervisor__roles__contains=["supervisor"])
    )
    given.filter(starts_on__gt=today).delete()
    yesterday = today - timedelta(days=1)
    given.exclude(ends_on__lte=today).update(ends_on=Greatest(F("starts_on"), yesterday))


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_left_at"),
    ]

    operations = [
        migrations.RunPython(end_those_of_who_left, migrations.RunPython.noop),
    ]
