import uuid

import django.db.models.deletion
from django.db import migrations, models

from apps.core.fields import EncryptedTextField
from apps.core.tenancy import RowSecurity


class Migration(migrations.Migration):
    dependencies = [
        ("therapy_sessions", "0003_encrypted_note"),
        ("accounts", "0003_sign_in"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProcessNote",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("text", EncryptedTextField(client="therapy_session__treatment__client_id")),
                ("saved_at", models.DateTimeField()),
                (
                    "author",
                    models.ForeignKey(
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
                    "therapy_session",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="process_notes",
                        to="therapy_sessions.therapysession",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["practice", "author", "therapy_session"],
                        name="process_note_by_author",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=["therapy_session", "author"], name="process_note_one_per_author"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("text", ""), _negated=True),
                        name="process_note_has_a_text",
                    ),
                ],
            },
        ),
        RowSecurity("therapy_sessions_processnote"),
    ]
