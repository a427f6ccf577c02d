from django.db import migrations

from apps.core.fields import encrypt_column


class Migration(migrations.Migration):
    dependencies = [("core", "0004_keys"), ("supervision", "0001_initial")]

    operations = [
        *encrypt_column(
            "supervision",
            "meeting",
            "wish",
            client="practice_id",
            blank=True,
            help_text="what the supervisee wants to talk about",
        ),
        *encrypt_column(
            "supervision",
            "meeting",
            "notes",
            client="practice_id",
            blank=True,
            help_text="both can read and write them",
        ),
    ]
