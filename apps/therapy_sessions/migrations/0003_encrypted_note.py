from django.db import migrations

from apps.core.fields import encrypt_column


class Migration(migrations.Migration):
    dependencies = [
        ("therapy_sessions", "0002_row_security"),
        ("core", "0004_keys"),
    ]

    operations = encrypt_column(
        "therapy_sessions",
        "therapysession",
        "not_asked_note",
        client="treatment__client_id",
        blank=True,
    )
