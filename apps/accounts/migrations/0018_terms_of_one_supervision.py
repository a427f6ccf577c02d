from django.db import migrations
from django.utils import timezone


def make_one(apps, schema_editor):
    """Terms of a pair that adjoin or overlap, each entered before the one before it was over."""
    links = apps.get_model("accounts", "Supervision").objects.filter(ended_at=None)
    one = None
    for term in links.order_by("supervisor", "supervisee", "starts_on"):
        if one is None or not _goes_on(one, term):
            one = term
            continue
        one.ends_on = one.ends_on and term.ends_on and max(one.ends_on, term.ends_on)
        term.delete()
        one.save(update_fields=["ends_on"])


def _goes_on(one, term):
    if (one.supervisor_id, one.supervisee_id) != (term.supervisor_id, term.supervisee_id):
        return False
    made_on = timezone.localdate(term.created_at) if term.created_at else term.starts_on
    return one.ends_on is None or (
        made_on <= one.ends_on and (term.starts_on - one.ends_on).days <= 1
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0017_longer_mark"),
    ]

    operations = [
        migrations.RunPython(make_one, migrations.RunPython.noop),
    ]
