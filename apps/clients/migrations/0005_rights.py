import uuid

import django.db.models.deletion
from django.db import migrations, models

from apps.core.fields import encrypt_column
from apps.core.tenancy import RowSecurity


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0004_channels_and_pause"),
    ]

    operations = [
        migrations.AddField("client", "restricted_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("client", "held_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("client", "erased_at", models.DateTimeField(blank=True, null=True)),
        migrations.RemoveConstraint("client", "client_pause_has_a_reason"),
        *encrypt_column("clients", "client", "pause_reason", client="id", blank=True),
        migrations.AddConstraint(
            "client",
            models.CheckConstraint(
                condition=models.Q(
                    ("pause_review_on__isnull", True),
                    models.Q(("pause_reason", ""), _negated=True),
                    _connector="OR",
                ),
                name="client_pause_has_a_reason",
            ),
        ),
        migrations.CreateModel(
            name="ErasureRequest",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("requested_at", models.DateTimeField()),
                (
                    "closed_at",
                    models.DateTimeField(
                        help_text="when it was carried out or withdrawn", null=True
                    ),
                ),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="erasure_requests",
                        to="clients.client",
                    ),
                ),
                (
                    "closed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
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
                (
                    "requested_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.membership",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["practice", "client"], name="erasure_request_by_client")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("closed_at__isnull", True)),
                        fields=("client",),
                        name="erasure_request_one_open_per_client",
                    )
                ],
            },
        ),
        RowSecurity("clients_erasurerequest"),
    ]
