from itertools import chain, count

from django.db import migrations, models

UNCLEAN = r"^\s|\s$|[[:cntrl:]]"


def clean_codes(apps, schema_editor):
    """A code becomes what it looks like; where another client has that, with a number behind."""
    clients = apps.get_model("clients", "Client").objects
    for client in clients.filter(code__regex=UNCLEAN).order_by("id"):
        seen = "".join(" " if not sign.isprintable() else sign for sign in client.code).strip()
        others = clients.filter(practice_id=client.practice_id).exclude(id=client.id)
        for code in chain([seen or "0"], (f"{seen[:15]}-{number}" for number in count(2))):
            if not others.filter(code=code).exists():
                clients.filter(id=client.id).update(code=code)
                break


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0008_stop_outlives_address"),
    ]

    operations = [
        migrations.RunPython(clean_codes, migrations.RunPython.noop),
        migrations.AddConstraint(
            "client",
            models.CheckConstraint(
                condition=models.Q(("code__regex", UNCLEAN), _negated=True),
                name="client_code_is_what_it_looks_like",
            ),
        ),
    ]
