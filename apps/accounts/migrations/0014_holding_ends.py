from django.db import migrations
from django.db.models import Q


def take_away(apps, schema_editor):
    """Records are held by nobody whose place is closed, or was never taken."""
    nobody = Q(record_holder__is_active=False) | Q(record_holder__user=None)
    held = apps.get_model("accounts", "Practice").objects.exclude(record_holder=None)
    held.filter(nobody).update(record_holder=None)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0013_links_end_with_sessions")]

    operations = [migrations.RunPython(take_away, migrations.RunPython.noop)]
