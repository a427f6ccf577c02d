import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0011_managed_until"),
        ("supervision", "0002_sealed_notes"),
    ]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="written_by",
            field=models.ForeignKey(
                help_text="which of the two; nobody noted it before",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.membership",
            ),
        ),
    ]
