from django.db import migrations

from apps.core import crypto
from apps.core.spellings import as_before, mailbox


def index_mailboxes(apps, schema_editor):
    """The largest providers deliver several spellings to one mailbox. What is known by an address
    that was taken away keeps its index: nobody can tell any more which that was."""
    channels = apps.get_model("clients", "ContactChannel").objects
    with crypto.keyring():
        for channel in channels.filter(kind="email").exclude(address="").iterator():
            old, new = (
                crypto.blind_index(spelling(channel.address), practice_id=channel.practice_id)
                for spelling in (as_before, mailbox)
            )
            if old != new and bytes(channel.address_index) == old:
                channels.filter(id=channel.id).update(address_index=new)


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0014_proposals"),
    ]

    operations = [
        migrations.RunPython(index_mailboxes, migrations.RunPython.noop),
    ]
