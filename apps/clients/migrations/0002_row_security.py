from django.db import migrations

from apps.core.tenancy import RowSecurity


class Migration(migrations.Migration):
    dependencies = [("clients", "0001_initial")]

    operations = [
        RowSecurity("clients_client"),
        RowSecurity("clients_contactchannel"),
        RowSecurity("clients_treatment"),
    ]
