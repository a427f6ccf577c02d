"""Read by gunicorn where it starts."""

from apps.core.logs import CONFIGURATION

# Its own lines are written like all others.
logconfig_dict = CONFIGURATION
# Seconds an idle connection stays open: longer than the two minutes for which the proxy keeps one.
# Closed sooner, it would be closed now and then just as a form is sent into it.
keepalive = 150
