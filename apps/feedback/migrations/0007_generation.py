from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("feedback", "0006_reached_mailboxes"),
    ]

    operations = [
        migrations.AlterField(
            model_name="feedbackrequest",
            name="generation",
            field=models.PositiveIntegerField(
                default=0, help_text="one more revokes the links made before"
            ),
        ),
    ]
