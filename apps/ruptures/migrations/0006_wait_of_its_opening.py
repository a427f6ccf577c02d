from django.db import migrations, models


def as_their_practice_has_it(apps, schema_editor):
    """Episodes that are open keep the waiting time of now; nobody knows of an earlier one."""
    episodes = apps.get_model("ruptures", "RuptureEpisode").objects
    for practice in apps.get_model("accounts", "Practice").objects.exclude(
        supervisor_wait_hours=72
    ):
        episodes.filter(practice=practice).update(wait_hours=practice.supervisor_wait_hours)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_left_at"),
        ("ruptures", "0005_encrypted_notes"),
    ]

    operations = [
        migrations.AddField(
            model_name="ruptureepisode",
            name="wait_hours",
            field=models.PositiveSmallIntegerField(
                default=72, help_text="the practice's waiting time when it opened"
            ),
        ),
        migrations.RunPython(as_their_practice_has_it, migrations.RunPython.noop),
    ]
