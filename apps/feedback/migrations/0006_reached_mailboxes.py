from django.db import migrations

MESSAGES = ("feedback_request", "feedback_reminder", "feedback_fresh_link")


def note_what_went_before(apps, schema_editor):
    """Messages of before that went to where a channel leads now; of others nobody kept where."""
    sent = apps.get_model("core", "OutboxMessage").objects.filter(kind__in=MESSAGES, state="sent")
    requests = apps.get_model("feedback", "FeedbackRequest").objects
    channels = apps.get_model("clients", "ContactChannel").objects.exclude(address="")
    reached = apps.get_model("clients", "ReachedMailbox").objects
    client_of = dict(requests.values_list("id", "therapy_session__treatment__client"))
    since = {}
    for request_id, kind, sent_at in sent.values_list("subject_id", "channel", "sent_at"):
        since.setdefault((client_of.get(request_id), kind), []).append(sent_at)
    for channel in channels.iterator():
        led_there = [
            moment
            for moment in since.get((channel.client_id, channel.kind), [])
            if moment and (channel.address_since is None or moment >= channel.address_since)
        ]
        if led_there:
            reached.get_or_create(
                practice_id=channel.practice_id,
                client_id=channel.client_id,
                address_index=bytes(channel.address_index),
                defaults={"since": min(led_there)},
            )


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0016_reached_mailbox"),
        ("core", "0009_doubted_at"),
        ("feedback", "0005_ended_too_soon"),
    ]

    operations = [
        migrations.RunPython(note_what_went_before, migrations.RunPython.noop),
    ]
