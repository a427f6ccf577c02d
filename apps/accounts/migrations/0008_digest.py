import uuid

import django.db.models.deletion
from django.db import migrations, models

from apps.core.tenancy import LookUp, RowSecurity


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_joined_at"),
    ]

    operations = [
        migrations.AddField("membership", "wants_digest", models.BooleanField(default=False)),
        migrations.CreateModel(
            name="Digest",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("week_of", models.DateField(help_text="its Monday")),
                (
                    "member",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
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
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("practice", "member", "week_of"), name="digest_once_a_week"
                    )
                ],
            },
        ),
        RowSecurity("accounts_digest"),
        LookUp(
            "practices_with_digests()",
            "SETOF uuid",
            "SELECT DISTINCT practice_id FROM accounts_membership WHERE wants_digest AND is_active",
            {"accounts_membership": "practice_id, wants_digest, is_active"},
        ),
    ]
