from django.db import migrations, models
from django.db.models import OuterRef, Subquery
from django.utils import timezone


def read_from_the_trail(apps, schema_editor):
    """When a link was made stands in the audit trail; where it does not, the first day tells."""
    made = apps.get_model("core", "AuditEntry").objects.filter(
        action="start supervision", object_id=OuterRef("id")
    )
    apps.get_model("accounts", "Supervision").objects.update(
        created_at=Subquery(made.order_by("at").values("at")[:1])
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0015_supervision_ended_at"),
        ("core", "0005_audit_trail"),
    ]

    operations = [
        migrations.AddField(
            model_name="supervision",
            name="created_at",
            field=models.DateTimeField(
                default=None,
                editable=False,
                help_text="empty where it was before this was noted",
                null=True,
            ),
        ),
        migrations.RunPython(read_from_the_trail, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="supervision",
            name="created_at",
            field=models.DateTimeField(
                default=timezone.now,
                editable=False,
                help_text="empty where it was before this was noted",
                null=True,
            ),
        ),
    ]
