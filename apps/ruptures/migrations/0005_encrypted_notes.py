from django.db import migrations, models

from apps.core.fields import encrypt_column


class Migration(migrations.Migration):
    dependencies = [
        ("ruptures", "0004_worksheet"),
        ("core", "0004_keys"),
    ]

    operations = [
        migrations.RemoveConstraint("ruptureepisode", "episode_not_a_rupture_has_a_reason"),
        *encrypt_column(
            "ruptures",
            "ruptureepisode",
            "outcome_reason",
            client="treatment__client_id",
            blank=True,
        ),
        *encrypt_column(
            "ruptures",
            "worksheet",
            "next_action",
            client="episode__treatment__client_id",
            blank=True,
        ),
        *encrypt_column(
            "ruptures",
            "stepnote",
            "note",
            client="worksheet__episode__treatment__client_id",
            blank=True,
        ),
        migrations.AddConstraint(
            "ruptureepisode",
            models.CheckConstraint(
                condition=models.Q(("outcome", "not_a_rupture"), _negated=True)
                | models.Q(("outcome_reason", ""), _negated=True),
                name="episode_not_a_rupture_has_a_reason",
            ),
        ),
    ]
