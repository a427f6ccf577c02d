#!/usr/bin/env python
"""Run administrative commands; `manage.py help` lists them."""

import os
import sys


def main() -> None:
    # Commands act for the whole installation, as the schema's owner; servers serve as `app`.
    if "runserver" not in sys.argv[1:2]:
        os.environ.setdefault("RAPPORT_DATABASE_ROLE", "migrator")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit(
            "Django is not installed here. Run `make setup`, then `.venv/bin/python manage.py`."
        )
    from apps.core import tracing

    tracing.begin(route=" ".join(["manage.py", *sys.argv[1:2]]))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
