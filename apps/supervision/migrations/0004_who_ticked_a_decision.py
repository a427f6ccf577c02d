import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0017_longer_mark"),
        ("supervision", "0003_who_wrote_a_decision"),
    ]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="done_by",
            field=models.ForeignKey(
                help_text="who ticked it; nobody noted it before",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.membership",
            ),
        ),
    ]
