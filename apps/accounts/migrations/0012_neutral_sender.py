from django.db import migrations, models

from apps.accounts.models import validate_neutral


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_managed_until")]

    operations = [
        migrations.AlterField(
            "practice",
            "sender_name",
            models.CharField(
                max_length=40,
                validators=[validate_neutral],
                help_text="neutral name on messages and client pages, e.g. 'Fernbank'",
            ),
        ),
    ]
