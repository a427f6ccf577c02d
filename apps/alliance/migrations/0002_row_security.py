from django.db import migrations

from apps.core.tenancy import RowSecurity


class Migration(migrations.Migration):
    dependencies = [("alliance", "0001_initial")]

    operations = [
        RowSecurity("alliance_questionnaire"),
        RowSecurity("alliance_alliancerating"),
    ]
