from django.db import migrations, models


def know_proposals(apps, schema_editor):
    """Of those that somebody agreed to already, nothing tells."""
    requests = apps.get_model("clients", "TwoPersonRequest").objects
    requests.filter(requested_by=None).update(is_proposal=True)


class Migration(migrations.Migration):
    dependencies = [("clients", "0013_complained")]

    operations = [
        migrations.AddField(
            "twopersonrequest",
            "is_proposal",
            models.BooleanField(
                default=False, help_text="Rapport asked, because the time of keeping was over"
            ),
        ),
        migrations.RunPython(know_proposals, migrations.RunPython.noop),
    ]
