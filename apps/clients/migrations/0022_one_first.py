"""A client's treatments are one chain, which has one first (ADR 23)."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0021_chain"),
    ]

    operations = [
        migrations.AlterField(
            model_name="treatment",
            name="follows",
            field=models.ForeignKey(
                blank=True,
                help_text="the client's treatment before this one",
                null=True,
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="followed_by",
                to="clients.treatment",
            ),
        ),
        migrations.AddConstraint(
            model_name="treatment",
            constraint=models.UniqueConstraint(
                condition=Q(follows__isnull=True),
                fields=["client"],
                name="treatment_one_first_per_client",
            ),
        ),
    ]
