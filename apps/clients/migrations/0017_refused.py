from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0016_reached_mailbox"),
    ]

    operations = [
        migrations.AlterField(
            model_name="contactchannel",
            name="stop_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("stopped", "The client stopped messages"),
                    ("switched", "The client switched to another way"),
                    ("not_mine", "Somebody else gets these messages"),
                    ("complained", "Messages were marked as unwanted"),
                    ("refused", "Their phone takes no texts from us"),
                    ("bounced", "Messages come back"),
                ],
                max_length=10,
            ),
        ),
    ]
