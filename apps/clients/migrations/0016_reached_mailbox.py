import uuid

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from apps.core.tenancy import RowSecurity


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0017_longer_mark"),
        ("clients", "0015_largest_providers"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReachedMailbox",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("address_index", models.BinaryField()),
                ("since", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reached_mailboxes",
                        to="clients.client",
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
                        fields=("practice", "address_index", "client"),
                        name="mailbox_reached_once",
                    )
                ],
            },
        ),
        RowSecurity("clients_reachedmailbox"),
    ]
