"""How long a replay takes, and what it needs: rows in PostgreSQL to a report.

    python -m apps.core.embedded with-engines -- python -m benchmarks.replay [RATINGS …]

fills a practice for each number of ratings (100,000 and 1,000,000 unless given) with invented
courses of 18 attended sessions, two of them without a rating, replays it with `manage.py replay`
in a process of its own, and prints one JSON line each: seconds from start to end of that process
(interpreter and Django included), its greatest resident memory, microseconds per rating, and that
cost beside the first number's. PostgreSQL's own memory is not counted: one sort of at most 128 MB.
"""

import json
import os
import resource
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import django

ROOT = Path(__file__).resolve().parent.parent
SESSIONS, RATED = 18, 16

FILL = """
INSERT INTO therapy_sessions_therapysession
SELECT filled.*
FROM therapy_sessions_therapysession template,
    clients_treatment treatment,
    generate_series(0, %(sessions)s - 1) AS n,
    LATERAL jsonb_populate_record(template, jsonb_build_object(
        'id', gen_random_uuid(),
        'treatment_id', treatment.id,
        'starts_at', template.starts_at + n * interval '7 days'
    )) AS filled
WHERE template.id = %(session)s AND treatment.practice_id = %(practice)s
    AND treatment.id <> template.treatment_id;

INSERT INTO ruptures_screening
SELECT filled.*
FROM ruptures_screening template,
    therapy_sessions_therapysession first,
    therapy_sessions_therapysession session,
    LATERAL (SELECT
        extract(day FROM session.starts_at - first.starts_at)::int / 7 AS n,
        abs(hashtext(session.treatment_id::text)) %% 1000 AS client,
        random() + random() + random() + random() - 2 AS noise
    ) AS drawn,
    LATERAL (SELECT drawn.client %% 8 = 0 AND n BETWEEN 9 AND 12 AS is_fall) AS story,
    LATERAL (SELECT CASE WHEN n %% 9 <> 8 THEN round((greatest(0, least(100,
        66 + 0.04 * client + 10 * noise - CASE WHEN is_fall THEN 22 ELSE 0 END)))::numeric, 1)
    END AS rating) AS rated,
    LATERAL jsonb_populate_record(template, jsonb_build_object(
        'id', gen_random_uuid(),
        'treatment_id', session.treatment_id,
        'therapy_session_id', session.id,
        'pomp', rating,
        'inputs', template.inputs || jsonb_build_object(
            'pomp', rating,
            'gap_days', CASE WHEN n > 0 THEN 7 END,
            'tension', CASE WHEN rating IS NOT NULL THEN CASE WHEN is_fall THEN 2 ELSE 0 END END
        ),
        'state_before', template.state_before || jsonb_build_object('steps', n)
    )) AS filled
WHERE template.id = %(screening)s AND first.id = %(session)s
    AND session.practice_id = %(practice)s AND session.treatment_id <> first.treatment_id;
"""


def main(sizes: list[int]) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    os.environ["RAPPORT_DATABASE_ROLE"] = "migrator"
    django.setup()
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, check=True)
    reports: list[dict[str, Any]] = []
    for ratings in sizes:
        began = time.perf_counter()
        practice = fill(ratings)
        filled_in = time.perf_counter() - began
        measured = measure(practice)
        measured["us_per_rating"] = round(1e6 * measured["seconds"] / measured["rated"], 2)
        measured["beside_the_first"] = round(
            measured["us_per_rating"] / (reports or [measured])[0]["us_per_rating"], 3
        )
        reports.append(measured | {"filled_in_seconds": round(filled_in, 1)})
        sys.stdout.write(json.dumps(reports[-1]) + "\n")
        sys.stdout.flush()


def fill(ratings: int) -> str:
    """A practice with about so many ratings; returns its id."""
    from django.db import connection
    from django.utils import timezone

    from apps.accounts.models import Membership, Practice, Role
    from apps.alliance.services import install_shipped_questionnaires
    from apps.clients.models import Client, Treatment
    from apps.feedback.services import practice_questionnaire
    from apps.ruptures.services import screen_treatment
    from apps.therapy_sessions.models import TherapySession

    practice = Practice.objects.create(
        name=f"Benchmark {ratings}", sender_name="Bench", country="GB", time_zone="Europe/London"
    )
    install_shipped_questionnaires(practice=practice, by=None)
    therapist = Membership.objects.create(
        practice=practice, name="Benchmark", roles=[Role.THERAPIST]
    )
    clients = Client.objects.bulk_create(
        (
            Client(
                practice=practice,
                code=f"B-{n}",
                initials="B",
                country="GB",
                time_zone="Europe/London",
            )
            for n in range(1 + ratings // RATED)
        ),
        batch_size=5000,
    )
    began = timezone.now() - timedelta(weeks=SESSIONS + 1)
    treatments = Treatment.objects.bulk_create(
        (
            Treatment(practice=practice, client=client, therapist=therapist, starts_on=began.date())
            for client in clients
        ),
        batch_size=5000,
    )
    session = TherapySession.objects.create(
        practice=practice,
        treatment=treatments[0],
        starts_at=began,
        attendance=TherapySession.Attendance.ATTENDED,
        logged_at=began,
        asked=True,
    )
    [screening] = screen_treatment(
        treatment=treatments[0],
        questionnaire=practice_questionnaire(practice),
        since=session,
        at=None,
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        for statement in FILL.split(";\n\n"):
            cursor.execute(
                statement,
                {
                    "sessions": SESSIONS,
                    "practice": practice.id,
                    "session": session.id,
                    "screening": screening.id,
                },
            )
        cursor.execute("ANALYZE ruptures_screening, therapy_sessions_therapysession")
    connection.close()
    return str(practice.id)


def measure(practice: str) -> dict[str, Any]:
    """Replay in a process of its own under other norms; what it counted and what it cost."""
    with NamedTemporaryFile("w", suffix=".json") as figures:
        json.dump({"mean_first": 84, "spread_between": 13, "spread_within": 6.1}, figures)
        figures.flush()
        began = time.perf_counter()
        done = subprocess.run(  # noqa: S603 - our own command and our own ids
            [
                sys.executable, "manage.py", "replay", f"--practice={practice}",
                f"--parameters={figures.name}", "--format=json",
            ],
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
        seconds = time.perf_counter() - began
    report = json.loads(done.stdout)
    return {
        "rated": report["rated"],
        "unrated": report["unrated"],
        "opened": report["counts"]["opened"],
        "seconds": round(seconds, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
    }


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [100_000, 1_000_000])
