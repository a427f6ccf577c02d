import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models

from apps.core.tenancy import LookUp, RowSecurity

APPEND_ONLY = ("core_auditentry", "core_auditseal")


def append_only(table: str) -> migrations.RunSQL:
    """Role `app` may insert and select; a trigger refuses all else to everybody.

    The owner can drop the trigger, as the owner can drop the table: the chain tells of that.
    TRUNCATE has a trigger of its own, which tests switch off to empty their database.
    """
    refuse = f"ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    return migrations.RunSQL(
        [
            f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM app",
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE {refuse}",
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE {refuse}",
        ],
        [
            f"DROP TRIGGER never_emptied ON {table}",
            f"DROP TRIGGER append_only ON {table}",
            f"GRANT UPDATE, DELETE ON {table} TO app",
        ],
    )


class Migration(migrations.Migration):
    dependencies = [("core", "0004_keys")]

    operations = [
        migrations.RemoveIndex("auditentry", "audit_by_client"),
        migrations.AddField(
            "auditentry",
            "route",
            models.CharField(
                blank=True,
                default="",
                help_text="view, task or command; empty in a shell",
                max_length=80,
            ),
            preserve_default=False,
        ),
        migrations.AddField("auditentry", "is_read", models.BooleanField(default=False)),
        migrations.AddField(
            "auditentry",
            "client_ids",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.UUIDField(), default=list, size=None
            ),
        ),
        migrations.RunSQL(
            [
                "UPDATE core_auditentry SET client_ids = array_remove(ARRAY[client_id], NULL)",
                "UPDATE core_auditentry SET is_read = true WHERE action LIKE 'view %'",
            ],
            ["UPDATE core_auditentry SET client_id = client_ids[1]"],
        ),
        migrations.RemoveField("auditentry", "client_id"),
        migrations.AddIndex(
            "auditentry",
            django.contrib.postgres.indexes.GinIndex(fields=["client_ids"], name="audit_by_client"),
        ),
        migrations.CreateModel(
            "AuditSeal",
            [
                (
                    "entry",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        serialize=False,
                        to="core.auditentry",
                    ),
                ),
                ("practice_id", models.UUIDField()),
                (
                    "number",
                    models.BigIntegerField(help_text="1, 2, 3 … within the practice"),
                ),
                ("sealed_at", models.DateTimeField()),
                ("digest", models.BinaryField(max_length=32)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("practice_id", "number"), name="audit_seal_no_fork"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("number__gte", 1)), name="audit_seal_counts_from_one"
                    ),
                ]
            },
        ),
        migrations.CreateModel(
            "AuditHead",
            [
                ("practice_id", models.UUIDField(primary_key=True, serialize=False)),
                ("count", models.BigIntegerField(default=0)),
                ("digest", models.BinaryField(default=bytes, max_length=32)),
                ("sealed_at", models.DateTimeField(null=True)),
            ],
        ),
        RowSecurity("core_auditseal"),
        RowSecurity("core_audithead"),
        migrations.RunSQL(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'the audit trail is append-only'"
            " USING ERRCODE = 'insufficient_privilege'; END $$",
            "DROP FUNCTION refuse_change()",
        ),
        *(append_only(table) for table in APPEND_ONLY),
        migrations.RunSQL(
            "REVOKE DELETE, TRUNCATE ON core_audithead FROM app",
            "GRANT DELETE ON core_audithead TO app",
        ),
        LookUp(
            "audit_entries_of(client uuid)",
            "bigint[]",
            "SELECT coalesce(array_agg(id), '{}') FROM core_auditentry"
            " WHERE client_ids @> ARRAY[client]"
            " AND practice_id = nullif(current_setting('app.practice_id', true), '')::uuid",
            {"core_auditentry": "id, practice_id, client_ids"},
        ),
        LookUp(
            "practices_to_seal()",
            "SETOF uuid",
            "SELECT DISTINCT e.practice_id FROM core_auditentry e"
            " WHERE e.id > coalesce((SELECT max(entry_id) FROM core_auditseal), 0) - 100000"
            " AND NOT EXISTS (SELECT FROM core_auditseal s WHERE s.entry_id = e.id)",
            {"core_auditentry": "id, practice_id", "core_auditseal": "entry_id"},
        ),
    ]
