from django.db import migrations

from apps.core.tenancy import RowSecurity


class Migration(migrations.Migration):
    dependencies = [("ruptures", "0001_initial")]

    operations = [
        RowSecurity("ruptures_screening"),
        RowSecurity("ruptures_ruptureepisode"),
    ]
