from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("clients", "0011_export_for_whom")]

    operations = [
        migrations.AddField("client", "erased_code", models.BinaryField(default=bytes)),
    ]
