import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

from apps.core.tenancy import LookUp


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_most_requests"),
    ]

    operations = [
        migrations.AddField(
            "practice",
            "retention_years",
            models.PositiveSmallIntegerField(
                blank=True,
                default=8,
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(100),
                ],
            ),
        ),
        migrations.AddField(
            "practice",
            "record_holder",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.membership",
            ),
        ),
        LookUp(
            "practices_with_retention()",
            "SETOF uuid",
            "SELECT id FROM accounts_practice WHERE retention_years IS NOT NULL",
            {"accounts_practice": "id, retention_years"},
        ),
    ]
