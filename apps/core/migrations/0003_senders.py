from django.db import migrations, models
from django.db.models import F, Q

from apps.core.tenancy import LookUp

DUE_BEFORE = LookUp(
    "due_messages(at timestamptz)",
    "TABLE (practice_id uuid, id uuid, not_before timestamptz)",
    "SELECT m.practice_id, m.id, m.not_before FROM core_outboxmessage m"
    " WHERE (m.state = 'pending' AND m.not_before <= at)"
    " OR (m.state = 'claimed' AND m.lease_until <= at) ORDER BY m.not_before",
    {"core_outboxmessage": "id, practice_id, state, not_before, lease_until"},
)


def due_when_planned(apps, schema_editor):
    apps.get_model("core", "OutboxMessage").objects.update(due_at=F("not_before"))


def without_new_states(apps, schema_editor):
    messages = apps.get_model("core", "OutboxMessage").objects
    messages.filter(state="bounced").update(state="sent")
    messages.filter(state="uncertain").update(state="failed")


class Migration(migrations.Migration):
    dependencies = [("core", "0002_row_security")]

    operations = [
        migrations.CreateModel(
            name="Sending",
            fields=[
                (
                    "id",
                    models.PositiveSmallIntegerField(
                        default=1, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "database",
                    models.CharField(
                        help_text="database that sending is released for", max_length=80
                    ),
                ),
                ("paused_at", models.DateTimeField(null=True)),
                ("why", models.CharField(blank=True, max_length=80)),
            ],
            options={
                "verbose_name_plural": "sending",
                "constraints": [models.CheckConstraint(condition=Q(id=1), name="sending_one_row")],
            },
        ),
        migrations.RemoveConstraint(model_name="outboxmessage", name="outbox_sent_has_a_time"),
        migrations.RemoveIndex(model_name="outboxmessage", name="outbox_due"),
        migrations.AddField(
            model_name="outboxmessage",
            name="channel",
            field=models.CharField(
                choices=[("email", "Email"), ("text", "Text")], default="email", max_length=5
            ),
        ),
        migrations.AddField(
            model_name="outboxmessage",
            name="doubts",
            field=models.PositiveSmallIntegerField(
                default=0,
                help_text="how often the connection was lost after the message was handed over",
            ),
        ),
        migrations.AddField(
            model_name="outboxmessage", name="due_at", field=models.DateTimeField(null=True)
        ),
        migrations.RunPython(due_when_planned, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="outboxmessage",
            name="due_at",
            field=models.DateTimeField(help_text="when it should be out; retries do not move it"),
        ),
        migrations.AlterField(
            model_name="outboxmessage",
            name="not_before",
            field=models.DateTimeField(help_text="no sender may take it earlier"),
        ),
        migrations.AlterField(
            model_name="outboxmessage",
            name="state",
            field=models.CharField(
                choices=[
                    ("pending", "Pending"),
                    ("claimed", "Claimed"),
                    ("sent", "Sent"),
                    ("failed", "Failed"),
                    ("cancelled", "Cancelled"),
                    ("uncertain", "Uncertain"),
                    ("bounced", "Bounced"),
                ],
                default="pending",
                max_length=10,
            ),
        ),
        migrations.AddIndex(
            model_name="outboxmessage",
            index=models.Index(
                condition=Q(state__in=["pending", "claimed", "uncertain"]),
                fields=["not_before"],
                name="outbox_due",
            ),
        ),
        migrations.AddIndex(
            model_name="outboxmessage",
            index=models.Index(
                condition=Q(state__in=["pending", "claimed"]),
                fields=["practice_id", "due_at"],
                name="outbox_waiting",
            ),
        ),
        migrations.AddIndex(
            model_name="outboxmessage",
            index=models.Index(fields=["practice_id", "sent_at"], name="outbox_by_time_sent"),
        ),
        migrations.AddConstraint(
            model_name="outboxmessage",
            constraint=models.CheckConstraint(
                condition=Q(sent_at__isnull=False, state__in=["sent", "bounced"])
                | (~Q(state__in=["sent", "bounced"]) & Q(sent_at__isnull=True)),
                name="outbox_sent_has_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="outboxmessage",
            constraint=models.CheckConstraint(
                condition=~Q(state="uncertain") | Q(doubts__gt=0),
                name="outbox_uncertain_has_doubts",
            ),
        ),
        LookUp(
            "due_messages(at timestamptz, most integer)",
            "TABLE (practice_id uuid, id uuid)",
            "SELECT m.practice_id, m.id FROM core_outboxmessage m"
            " WHERE (m.state = 'pending' AND m.not_before <= at)"
            " OR (m.state = 'claimed' AND m.lease_until <= at)"
            " OR (m.state = 'uncertain' AND m.doubts = 1 AND m.not_before <= at)"
            " ORDER BY m.not_before LIMIT most",
            {"core_outboxmessage": "id, practice_id, state, not_before, lease_until, doubts"},
            replaces=DUE_BEFORE,
        ),
        LookUp(
            "waiting_since(at timestamptz)",
            "timestamptz",
            "SELECT min(m.due_at) FROM core_outboxmessage m"
            " WHERE m.state IN ('pending', 'claimed') AND m.due_at <= at",
            {"core_outboxmessage": "state, due_at"},
        ),
        migrations.RunPython(migrations.RunPython.noop, without_new_states),
    ]
