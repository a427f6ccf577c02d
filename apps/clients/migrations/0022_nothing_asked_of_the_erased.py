from django.db import migrations
from django.utils import timezone


def close_what_is_open(apps, schema_editor):
    """What else was asked about a client who was erased by now stayed open."""
    asked = apps.get_model("clients", "TwoPersonRequest").objects.filter(closed_at=None)
    asked.exclude(client__erased_at=None).update(closed_at=timezone.now(), texts=[])


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0021_one_chain"),
    ]

    operations = [
        migrations.RunPython(close_what_is_open, migrations.RunPython.noop),
    ]
