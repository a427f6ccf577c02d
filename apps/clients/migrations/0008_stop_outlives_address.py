from django.db import migrations, models

from apps.core.spellings import mailbox
from apps.core import crypto
from apps.core.fields import BlindIndexField


def index_mailboxes(apps, schema_editor):
    """An address is found by its mailbox, whatever its spelling."""
    channels = apps.get_model("clients", "ContactChannel").objects
    with crypto.keyring():
        for channel in channels.filter(kind="email").iterator():
            found = mailbox(channel.address)
            if found != channel.address.casefold():
                index = crypto.blind_index(found, practice_id=channel.practice_id)
                channels.filter(id=channel.id).update(address_index=index)


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0007_treatment_follows"),
    ]

    operations = [
        migrations.RemoveConstraint("contactchannel", "channel_has_an_address"),
        migrations.AddConstraint(
            "contactchannel",
            models.CheckConstraint(
                condition=models.Q(
                    models.Q(("address", ""), _negated=True),
                    models.Q(("safe_to_contact", False), ("stopped_at__isnull", False)),
                    _connector="OR",
                ),
                name="channel_has_an_address_or_a_stop",
            ),
        ),
        migrations.AlterField("contactchannel", "address_index", BlindIndexField(of="mailbox")),
        migrations.RunPython(index_mailboxes, migrations.RunPython.noop),
    ]
