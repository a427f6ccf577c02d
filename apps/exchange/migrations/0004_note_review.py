import uuid

import django.db.models.deletion
from django.db import migrations, models

import apps.core.fields
from apps.core.tenancy import RowSecurity


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0006_two_person_request"),
        ("exchange", "0003_calendar_feed"),
    ]

    operations = [
        migrations.CreateModel(
            name="NoteReview",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("reason", apps.core.fields.EncryptedTextField(client="client_id")),
                ("reviewed_at", models.DateTimeField()),
                (
                    "client",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="note_reviews",
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
                (
                    "reviewed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.membership",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["practice", "client"], name="note_review_by_client")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("reason", ""), _negated=True),
                        name="note_review_says_why",
                    )
                ],
            },
        ),
        RowSecurity("exchange_notereview"),
    ]
