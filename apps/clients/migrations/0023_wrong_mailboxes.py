from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def note_wrong_ones(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Mailboxes that are known as wrong by their channel alone, until another one is saved."""
    reached = apps.get_model("clients", "ReachedMailbox").objects
    channels = apps.get_model("clients", "ContactChannel").objects.filter(stop_reason="not_mine")
    for channel in channels.exclude(address_index=b"").iterator():
        reached.update_or_create(
            practice_id=channel.practice_id,
            client_id=channel.client_id,
            address_index=channel.address_index,
            defaults={"wrong_since": channel.stopped_at},
        )


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0022_nothing_asked_of_the_erased"),
    ]

    operations = [
        migrations.AddField(
            model_name="reachedmailbox",
            name="wrong_since",
            field=models.DateTimeField(
                null=True, help_text="when its reader said that it is not the client's"
            ),
        ),
        migrations.RunPython(note_wrong_ones, migrations.RunPython.noop),
    ]
