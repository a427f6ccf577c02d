"""The command of `pairs.py`: two at one moment; exit 1 where something is wrong."""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from tests.architecture.matrix.pairs import main  # noqa: E402 - needs the application set up

if __name__ == "__main__":
    sys.exit(main())
