from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_keeping")]

    operations = [
        migrations.AddField(
            "membership",
            "joined_at",
            models.DateTimeField(
                blank=True, null=True, help_text="empty where it was before this was noted"
            ),
        ),
    ]
