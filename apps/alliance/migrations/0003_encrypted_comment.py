from django.db import migrations

from apps.core.fields import encrypt_column


class Migration(migrations.Migration):
    dependencies = [
        ("alliance", "0002_row_security"),
        ("core", "0004_keys"),
    ]

    operations = encrypt_column(
        "alliance",
        "alliancerating",
        "comment",
        client="therapy_session__treatment__client_id",
        blank=True,
    )
