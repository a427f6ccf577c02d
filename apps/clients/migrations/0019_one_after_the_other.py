"""A client has one treatment at a time, and each is followed by one at most (ADR 23)."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0018_treatment_leads_to"),
        ("endings", "0005_one_after_the_other"),
    ]

    operations = [
        migrations.RemoveConstraint("treatment", "treatment_leads_on_as_it_ends"),
        migrations.RemoveField("treatment", "leads_to"),
        migrations.AlterField(
            model_name="treatment",
            name="follows",
            field=models.ForeignKey(
                blank=True,
                help_text="the treatment, of another therapist, from which the client came as it ended, or is to come",
                null=True,
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="followed_by",
                to="clients.treatment",
            ),
        ),
        migrations.AddConstraint(
            model_name="treatment",
            constraint=models.UniqueConstraint(
                deferrable=models.Deferrable.DEFERRED,
                fields=["follows"],
                name="treatment_followed_by_one",
            ),
        ),
        migrations.RemoveConstraint("treatment", "treatment_one_open_per_dyad"),
        migrations.AddConstraint(
            model_name="treatment",
            constraint=models.UniqueConstraint(
                condition=Q(ends_on__isnull=True),
                fields=["client"],
                name="treatment_one_open_per_client",
            ),
        ),
    ]
