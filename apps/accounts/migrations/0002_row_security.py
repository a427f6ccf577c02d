from django.db import migrations

from apps.core.tenancy import USER, RowSecurity

# Before a practice is chosen, a signed-in person must see where they work: their own memberships,
# and those practices. Nothing can be written through these two.
OWN_MEMBERSHIPS = (
    f"CREATE POLICY own_memberships ON accounts_membership FOR SELECT USING (user_id = {USER})"
)
OWN_PRACTICES = (
    "CREATE POLICY own_practices ON accounts_practice FOR SELECT USING (id IN ("  # noqa: S608 - no input
    f"SELECT practice_id FROM accounts_membership WHERE user_id = {USER}))"
)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        RowSecurity("accounts_practice", "id"),
        RowSecurity("accounts_membership"),
        RowSecurity("accounts_supervision"),
        migrations.RunSQL(OWN_MEMBERSHIPS, "DROP POLICY own_memberships ON accounts_membership"),
        migrations.RunSQL(OWN_PRACTICES, "DROP POLICY own_practices ON accounts_practice"),
    ]
