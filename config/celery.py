"""The Celery application. Tasks carry ids only: PostgreSQL is the truth, Redis a doorbell."""

import os
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("rapport")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.worker_init.connect
def refuse_powerful_role(**kwargs: Any) -> None:
    """A worker above row-level security must not start, nor one that cannot ask."""
    from apps.core import tenancy

    try:
        tenancy.refuse_powerful_role()
    except Exception as refused:
        # Celery logs an Exception of a receiver, and starts all the same.
        raise SystemExit(str(refused)) from refused


@signals.before_task_publish.connect
def hand_on_request_id(headers: dict[str, Any], **kwargs: Any) -> None:
    """A task logs under the id of the request that sent it."""
    from apps.core import tracing

    headers[tracing.HEADER] = tracing.request_id()


@signals.task_prerun.connect
def begin(task: Any, **kwargs: Any) -> None:
    """One that nobody sent, as the scheduler's, gets an id of its own."""
    from apps.core import tracing

    # Beside the task's own headers where a broker brought it, among them where none did.
    sent = vars(task.request) | (task.request.headers or {})
    tracing.begin(request_id=sent.get(tracing.HEADER) or "", route=task.name)
