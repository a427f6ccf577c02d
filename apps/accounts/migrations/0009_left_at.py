from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_digest")]

    operations = [
        migrations.AddField(
            "membership",
            "left_at",
            models.DateTimeField(
                blank=True,
                help_text="when the place was closed; empty while open, or closed before this was noted",
                null=True,
            ),
        ),
    ]
