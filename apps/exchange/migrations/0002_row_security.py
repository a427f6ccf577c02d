from django.db import migrations

from apps.core.tenancy import RowSecurity


class Migration(migrations.Migration):
    dependencies = [("exchange", "0001_initial")]

    operations = [RowSecurity("exchange_importedsession")]
