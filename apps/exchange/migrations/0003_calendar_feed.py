import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.core.tenancy import RowSecurity


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_sign_in"),
        ("exchange", "0002_row_security"),
    ]

    operations = [
        migrations.CreateModel(
            name="CalendarFeed",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "digest",
                    models.CharField(help_text="SHA-256 of the secret, in hex", max_length=64),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "membership",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="calendar_feed",
                        to="accounts.membership",
                    ),
                ),
                (
                    "practice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.practice",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("practice", "digest"), name="calendar_feed_digest_unique"
                    )
                ],
            },
        ),
        RowSecurity("exchange_calendarfeed"),
    ]
