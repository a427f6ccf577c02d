"""`make access-report`: who reaches what; exit 1 on a leak."""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from tests.architecture.matrix.report import main  # noqa: E402 - needs the application set up

sys.exit(main())
