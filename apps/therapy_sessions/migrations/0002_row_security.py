from django.db import migrations

from apps.core.tenancy import RowSecurity


class Migration(migrations.Migration):
    dependencies = [("therapy_sessions", "0001_initial")]

    operations = [
        RowSecurity("therapy_sessions_therapysession"),
    ]
