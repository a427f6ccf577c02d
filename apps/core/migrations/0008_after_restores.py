from importlib import import_module

from django.db import migrations

COLUMNS = import_module("apps.core.migrations.0006_audit_numbers").COLUMNS
# A dump that was read back before today gave `app` what the migrations had taken, and the look-ups
# to `migrator`.
LOOK_UPS = """
DO $$
DECLARE look_up regprocedure;
BEGIN
    GRANT CREATE ON SCHEMA public TO lookup;
    FOR look_up IN SELECT oid FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND prosecdef
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO lookup', look_up);
    END LOOP;
    REVOKE CREATE ON SCHEMA public FROM lookup;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0007_seals_of_own_entries")]

    operations = [
        migrations.RunSQL(
            [
                "REVOKE UPDATE, DELETE ON core_auditentry, core_auditseal FROM app",
                "REVOKE DELETE ON core_audithead FROM app",
                "REVOKE INSERT ON core_auditentry FROM app",
                f"GRANT INSERT ({COLUMNS}) ON core_auditentry TO app",
                LOOK_UPS,
                # The database is known by the number of this table as well.
                "UPDATE core_sending SET database = database || '/' || 'core_sending'::regclass::oid",
            ],
            [
                "UPDATE core_sending SET database = regexp_replace(database, '/[0-9]+$', '')",
            ],
        ),
    ]
