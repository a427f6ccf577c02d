import uuid

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models
from django.db.models import Q

from apps.core.tenancy import RowSecurity


class Migration(migrations.Migration):
    dependencies = [("core", "0003_senders")]

    operations = [
        migrations.CreateModel(
            "PracticeKey",
            [
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("practice_id", models.UUIDField()),
                ("wrapped", models.BinaryField()),
                ("root_id", models.CharField(help_text="which root key wraps it", max_length=16)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "retired_at",
                    models.DateTimeField(help_text="since when a newer one wraps", null=True),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=Q(retired_at__isnull=True),
                        fields=["practice_id"],
                        name="practice_key_one_current",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            "ClientKey",
            [
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("practice_id", models.UUIDField()),
                ("client_id", models.UUIDField()),
                ("wrapped", models.BinaryField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "retired_at",
                    models.DateTimeField(help_text="since when a newer one seals", null=True),
                ),
                (
                    "practice_key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="core.practicekey",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["practice_id", "client_id"], name="client_key_by_client")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=Q(retired_at__isnull=True),
                        fields=["practice_id", "client_id"],
                        name="client_key_one_current",
                    )
                ],
            },
        ),
        RowSecurity("core_practicekey"),
        RowSecurity("core_clientkey"),
    ]
