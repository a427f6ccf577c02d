import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("clients", "0006_two_person_request")]

    operations = [
        migrations.AddField(
            "treatment",
            "follows",
            models.ForeignKey(
                blank=True,
                help_text="the treatment, of another therapist, from which the client came",
                null=True,
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="+",
                to="clients.treatment",
            ),
        ),
    ]
