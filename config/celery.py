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
    """A worker above row-level security must not start."""
    from apps.core import tenancy

    tenancy.refuse_powerful_role()
