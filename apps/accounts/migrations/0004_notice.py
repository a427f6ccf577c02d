import django.db.models.deletion
import django.utils.timezone
import uuid
from django.db import migrations, models

from apps.core.tenancy import RowSecurity


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_sign_in"),
    ]

    operations = [
        migrations.CreateModel(
            name="Notice",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(help_text="key of settings.NOTICE_RENDERERS", max_length=40),
                ),
                ("subject_id", models.UUIDField(help_text="row that it is about")),
                (
                    "mark",
                    models.CharField(
                        blank=True,
                        help_text="tells repetitions apart, e.g. a moment",
                        max_length=40,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("read_at", models.DateTimeField(null=True)),
                (
                    "member",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notices",
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
                        fields=("practice", "member", "kind", "subject_id", "mark"),
                        name="notice_told_once",
                    )
                ],
            },
        ),
        RowSecurity("accounts_notice"),
    ]
