from itertools import islice

from django.db import migrations

from apps.core import crypto
from apps.core.spellings import as_before, mailbox


def index_mailboxes(apps, schema_editor):
    """The largest providers deliver several spellings to one mailbox. What is known by an address
    that was taken away keeps its index: nobody can tell any more which that was."""
    channels = apps.get_model("clients", "ContactChannel").objects
    rows = channels.filter(kind="email").exclude(address="").iterator()
    with crypto.keyring():
        while page := list(islice(rows, 2000)):  # one query fetches the keys of its clients
            for channel in page:
                if as_before(channel.address) != mailbox(channel.address):
                    _index_anew(channels, channel)


def _index_anew(channels, channel):
    old, new = (
        crypto.blind_index(spelling(channel.address), practice_id=channel.practice_id)
        for spelling in (as_before, mailbox)
    )
    channels.filter(id=channel.id, address_index=old).update(address_index=new)


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0014_proposals"),
    ]

    operations = [
        migrations.RunPython(index_mailboxes, migrations.RunPython.noop),
    ]
