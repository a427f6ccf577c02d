from django.db import migrations

from apps.core.tenancy import LookUp, RowSecurity


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]

    operations = [
        RowSecurity("core_outboxmessage"),
        RowSecurity("core_auditentry"),
        LookUp(
            "due_messages(at timestamptz)",
            "TABLE (practice_id uuid, id uuid, not_before timestamptz)",
            "SELECT m.practice_id, m.id, m.not_before FROM core_outboxmessage m"
            " WHERE (m.state = 'pending' AND m.not_before <= at)"
            " OR (m.state = 'claimed' AND m.lease_until <= at) ORDER BY m.not_before",
            {"core_outboxmessage": "id, practice_id, state, not_before, lease_until"},
        ),
    ]
