from django.db import migrations, models

from apps.core import crypto
from apps.core.fields import BlindIndexField, encrypt_column


def fill_index(apps, schema_editor):
    with crypto.keyring():
        for channel in apps.get_model("clients", "ContactChannel").objects.iterator():
            channel.save(update_fields=["address_index"])


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0002_row_security"),
        ("core", "0004_keys"),
    ]

    operations = [
        migrations.RemoveConstraint("contactchannel", "channel_has_an_address"),
        *encrypt_column("clients", "contactchannel", "address", client="client_id"),
        migrations.AddField(
            "contactchannel",
            "address_index",
            BlindIndexField(of="address", default=b""),
            preserve_default=False,
        ),
        migrations.RunPython(fill_index, migrations.RunPython.noop),
        migrations.AddConstraint(
            "contactchannel",
            models.CheckConstraint(
                condition=models.Q(("address", ""), _negated=True), name="channel_has_an_address"
            ),
        ),
        migrations.AddIndex(
            "contactchannel",
            models.Index(fields=["practice", "address_index"], name="channel_by_address"),
        ),
    ]
