from django.db import migrations

from apps.core.tenancy import LookUp, RowSecurity


class Migration(migrations.Migration):
    dependencies = [("feedback", "0001_initial"), ("core", "0002_row_security")]

    operations = [
        RowSecurity("feedback_feedbackrequest"),
        LookUp(
            "practice_of_link(request uuid)",
            "uuid",
            "SELECT practice_id FROM feedback_feedbackrequest WHERE id = request",
            {"feedback_feedbackrequest": "id, practice_id, state, expires_at"},
        ),
        LookUp(
            "run_out_requests(at timestamptz)",
            "TABLE (practice_id uuid, id uuid)",
            "SELECT r.practice_id, r.id FROM feedback_feedbackrequest r"
            " WHERE r.state = 'open' AND r.expires_at <= at",
            {},
        ),
    ]
