from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_closed_supervisions")]

    operations = [
        migrations.AddField(
            "membership",
            "managed_until",
            models.DateTimeField(
                blank=True,
                help_text="when the role of a manager was taken away; empty where it never was",
                null=True,
            ),
        ),
    ]
