from django.db import migrations

# All but the number: who could choose it could put an entry so far ahead that the sealer, which
# looks back a bounded way from the newest, would never come to another.
COLUMNS = "practice_id, at, actor_id, route, is_read, action, object_type, object_id, client_ids"


class Migration(migrations.Migration):
    dependencies = [("core", "0005_audit_trail")]

    operations = [
        migrations.RunSQL(
            [
                "REVOKE INSERT ON core_auditentry FROM app",
                f"GRANT INSERT ({COLUMNS}) ON core_auditentry TO app",
            ],
            ["GRANT INSERT ON core_auditentry TO app"],
        ),
    ]
