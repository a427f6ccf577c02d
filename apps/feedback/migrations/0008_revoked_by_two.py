from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import F


def revoke_once_more(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Links that were revoked after a fresh one was sent stop no messages either."""
    requests = apps.get_model("feedback", "FeedbackRequest").objects.filter(generation__gt=1)
    requests.exclude(state="open").update(generation=F("generation") + 1)


class Migration(migrations.Migration):
    dependencies = [
        ("feedback", "0007_generation"),
    ]

    operations = [
        migrations.AlterField(
            model_name="feedbackrequest",
            name="generation",
            field=models.PositiveIntegerField(
                default=0, help_text="two more revoke the links made before"
            ),
        ),
        migrations.RunPython(revoke_once_more, migrations.RunPython.noop),
    ]
