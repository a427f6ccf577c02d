"""Read by gunicorn where it starts: its own lines are written like all others."""

from apps.core.logs import CONFIGURATION

logconfig_dict = CONFIGURATION
