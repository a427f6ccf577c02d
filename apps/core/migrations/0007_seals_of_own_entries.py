from django.db import migrations

# A foreign key sees through row-level security: by the entry's number alone, a seal of one practice
# could stand on another's entry, which then could never be sealed.
PAIR = "ALTER TABLE core_auditentry ADD CONSTRAINT audit_entry_of_practice UNIQUE (id, practice_id)"
OWN = """
ALTER TABLE core_auditseal ADD CONSTRAINT audit_seal_of_own_entry
    FOREIGN KEY (entry_id, practice_id) REFERENCES core_auditentry (id, practice_id)
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0006_audit_numbers")]

    operations = [
        migrations.RunSQL(
            PAIR, "ALTER TABLE core_auditentry DROP CONSTRAINT audit_entry_of_practice"
        ),
        migrations.RunSQL(
            OWN, "ALTER TABLE core_auditseal DROP CONSTRAINT audit_seal_of_own_entry"
        ),
    ]
