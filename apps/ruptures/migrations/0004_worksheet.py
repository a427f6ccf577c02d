import django.contrib.postgres.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models

from apps.core.tenancy import RowSecurity


def keep_ticked_causes(apps, schema_editor):
    """The causes ticked so far become the first version of a worksheet."""
    RuptureEpisode = apps.get_model("ruptures", "RuptureEpisode")
    Worksheet = apps.get_model("ruptures", "Worksheet")
    Worksheet.objects.bulk_create(
        Worksheet(
            practice_id=episode.practice_id,
            episode=episode,
            version=1,
            saved_at=episode.acknowledged_at or episode.opened_at,
            saved_by_id=episode.treatment.therapist_id,
            causes=episode.causes,
        )
        for episode in RuptureEpisode.objects.exclude(causes=[]).select_related("treatment")
    )


def give_causes_back(apps, schema_editor):
    """The causes of the newest worksheet; notes and earlier versions are not in the older schema."""
    for worksheet in apps.get_model("ruptures", "Worksheet").objects.order_by("version"):
        worksheet.episode.causes = worksheet.causes
        worksheet.episode.save(update_fields=["causes"])


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_sign_in"),
        ("alliance", "0002_row_security"),
        ("clients", "0002_row_security"),
        ("ruptures", "0003_rule_changes"),
        ("therapy_sessions", "0002_row_security"),
    ]

    operations = [
        migrations.CreateModel(
            name="StepNote",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "step",
                    models.CharField(
                        choices=[
                            ("notice", "Notice"),
                            ("open", "Open the conversation"),
                            ("discuss", "Discuss what led to it"),
                            ("explore", "Explore feelings on both sides"),
                            ("agree", "Agree a way forward that rebuilds trust"),
                            ("follow_up", "Follow up"),
                        ],
                        max_length=10,
                    ),
                ),
                ("note", models.TextField(blank=True)),
                ("done_on", models.DateField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Worksheet",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("version", models.PositiveIntegerField()),
                ("saved_at", models.DateTimeField()),
                (
                    "kind",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("withdrawal", "Withdrawal"),
                            ("confrontation", "Confrontation"),
                            ("both", "Both"),
                            ("unsure", "Not sure"),
                        ],
                        max_length=13,
                    ),
                ),
                (
                    "causes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("misunderstanding", "Miscommunication or misunderstanding"),
                                ("values", "Value or belief conflict"),
                                ("boundary", "Boundary issue"),
                                ("transference", "Transference or countertransference"),
                                ("expectations", "Unmet expectations"),
                                ("no_progress", "Lack of progress"),
                                ("life_change", "Life changes"),
                            ],
                            max_length=20,
                        ),
                        default=list,
                        size=None,
                    ),
                ),
                ("next_action", models.TextField(blank=True)),
            ],
        ),
        migrations.AddField(
            model_name="ruptureepisode",
            name="notes_shared_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="ruptureepisode",
            name="outcome",
            field=models.CharField(
                blank=True,
                choices=[
                    ("repaired", "Repaired and continuing"),
                    ("settled_lower", "Settled at a lower level"),
                    ("not_a_rupture", "Not a rupture"),
                    ("ended_unrepaired", "Ended unrepaired"),
                    ("moved", "Moved to a better-fitting therapist"),
                    ("superseded", "Withdrawn after a correction"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="ruptureepisode",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("notes_shared_at__isnull", True), ("shared_at__isnull", False), _connector="OR"
                ),
                name="episode_notes_shared_with_the_episode",
            ),
        ),
        migrations.AddField(
            model_name="stepnote",
            name="practice",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.practice",
            ),
        ),
        migrations.AddField(
            model_name="worksheet",
            name="episode",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="worksheets",
                to="ruptures.ruptureepisode",
            ),
        ),
        migrations.AddField(
            model_name="worksheet",
            name="practice",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.practice",
            ),
        ),
        migrations.AddField(
            model_name="worksheet",
            name="saved_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.membership",
            ),
        ),
        migrations.AddField(
            model_name="stepnote",
            name="worksheet",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="step_notes",
                to="ruptures.worksheet",
            ),
        ),
        migrations.AddIndex(
            model_name="worksheet",
            index=models.Index(fields=["practice", "episode"], name="worksheet_by_episode"),
        ),
        migrations.AddConstraint(
            model_name="worksheet",
            constraint=models.UniqueConstraint(
                fields=("episode", "version"), name="worksheet_one_per_version"
            ),
        ),
        migrations.AddConstraint(
            model_name="worksheet",
            constraint=models.CheckConstraint(
                condition=models.Q(("version__gte", 1)), name="worksheet_version_from_1"
            ),
        ),
        migrations.AddConstraint(
            model_name="worksheet",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "causes__contained_by",
                        [
                            "misunderstanding",
                            "values",
                            "boundary",
                            "transference",
                            "expectations",
                            "no_progress",
                            "life_change",
                        ],
                    )
                ),
                name="worksheet_causes_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="worksheet",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("kind__in", ["", "withdrawal", "confrontation", "both", "unsure"])
                ),
                name="worksheet_kind_known",
            ),
        ),
        migrations.AddIndex(
            model_name="stepnote",
            index=models.Index(fields=["practice", "worksheet"], name="step_note_by_worksheet"),
        ),
        migrations.AddConstraint(
            model_name="stepnote",
            constraint=models.UniqueConstraint(
                fields=("worksheet", "step"), name="step_note_one_per_step"
            ),
        ),
        migrations.AddConstraint(
            model_name="stepnote",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("step__in", ["notice", "open", "discuss", "explore", "agree", "follow_up"])
                ),
                name="step_note_step_known",
            ),
        ),
        RowSecurity("ruptures_worksheet"),
        RowSecurity("ruptures_stepnote"),
        # Rows that were just inserted keep PostgreSQL from altering their table: this comes after it.
        migrations.RunPython(keep_ticked_causes, give_causes_back),
        migrations.RemoveConstraint(
            model_name="ruptureepisode",
            name="episode_causes_known",
        ),
        migrations.RemoveField(
            model_name="ruptureepisode",
            name="causes",
        ),
    ]
