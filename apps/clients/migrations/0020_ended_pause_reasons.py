import django.db.models.deletion
from django.db import migrations, models

from apps.core import crypto
from apps.core.fields import EncryptedTextField


def part_what_has_ended(apps, schema_editor):
    """Under a legal hold reasons stood one below the other, each of one line, the newest last.
    Whose each is stands in the audit trail. Where no hold stands any more, those of pauses that
    have ended go."""
    clients = apps.get_model("clients", "Client").objects
    trail = apps.get_model("core", "AuditEntry").objects.filter(action="pause asking")
    with crypto.keyring():
        for client in clients.exclude(pause_reason="").iterator():
            try:
                reasons = client.pause_reason.split("\n\n")
            except crypto.KeyDestroyed:  # erased after the dump that was read back
                continue
            began = trail.filter(client_ids__contains=[client.id]).order_by("at", "id")
            actors = list(began.values_list("actor_id", flat=True))[-len(reasons) :]
            actors = [None] * (len(reasons) - len(actors)) + actors
            if client.pause_review_on:
                lasts = reasons.pop()
                if reasons:  # else it stays as it is, also where its text was erased
                    client.pause_reason = lasts
                client.paused_in = _treatment_of(actors.pop(), client)
            else:
                client.pause_reason = ""
            for actor, reason in zip(actors, reasons if client.held_at else [], strict=False):
                treatment = _treatment_of(actor, client)
                if treatment and reason:
                    kept = (treatment.ended_pause_reasons, reason)
                    treatment.ended_pause_reasons = "\n\n".join(filter(None, kept))
                    treatment.save(update_fields=["ended_pause_reasons"])
            if not client.erased_at:
                client.save(update_fields=["pause_reason", "paused_in"])
    # PostgreSQL alters no table whose foreign keys wait to be checked at the end.
    schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def _treatment_of(actor, client):
    """The actor's latest of the client; the earliest of all where the trail tells of none."""
    in_order = client.treatments.order_by("starts_on", "id")
    return in_order.filter(therapist=actor).last() or in_order.first()


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0019_one_after_the_other"),
        ("core", "0005_audit_trail"),
    ]

    operations = [
        migrations.AddField(
            model_name="client",
            name="paused_in",
            field=models.ForeignKey(
                blank=True,
                help_text="the treatment in which the pause that lasts began",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="clients.treatment",
            ),
        ),
        migrations.AddField(
            model_name="treatment",
            name="ended_pause_reasons",
            field=EncryptedTextField(blank=True, client="client_id", db_default="", default=""),
        ),
        migrations.RunPython(part_what_has_ended, migrations.RunPython.noop),
    ]
