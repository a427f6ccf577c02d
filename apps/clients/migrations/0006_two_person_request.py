import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_keeping"),
        ("clients", "0005_rights"),
    ]

    operations = [
        migrations.RemoveConstraint("erasurerequest", "erasure_request_one_open_per_client"),
        migrations.RenameModel("ErasureRequest", "TwoPersonRequest"),
        migrations.RenameIndex(
            "twopersonrequest",
            old_name="erasure_request_by_client",
            new_name="two_person_request_by_client",
        ),
        migrations.AddField(
            "twopersonrequest",
            "kind",
            models.CharField(
                choices=[
                    ("erase_client", "Erase the client"),
                    ("erase_texts", "Erase texts"),
                    ("export_all", "Export all records"),
                ],
                default="erase_client",
                max_length=12,
            ),
        ),
        migrations.AddField(
            "twopersonrequest",
            "texts",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=120),
                default=list,
                help_text="which texts, as 'table.column:id of the row'",
                size=None,
            ),
        ),
        migrations.AddField(
            "twopersonrequest", "is_carried_out", models.BooleanField(default=False)
        ),
        migrations.AlterField(
            "twopersonrequest",
            "client",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="two_person_requests",
                to="clients.client",
            ),
        ),
        migrations.AlterField(
            "twopersonrequest",
            "requested_by",
            models.ForeignKey(
                help_text="nobody where the time of keeping is over: then two people have to agree",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.membership",
            ),
        ),
        migrations.AddConstraint(
            "twopersonrequest",
            models.UniqueConstraint(
                condition=Q(closed_at__isnull=True) & ~Q(kind="erase_texts"),
                fields=("practice", "kind", "client"),
                name="two_person_request_one_open",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            "twopersonrequest",
            models.CheckConstraint(
                condition=Q(kind="export_all", client__isnull=True)
                | Q(kind__in=["erase_client", "erase_texts"], client__isnull=False),
                name="two_person_request_about_whom",
            ),
        ),
    ]
