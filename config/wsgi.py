import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

from apps.core.tenancy import refuse_powerful_role  # noqa: E402 - needs the application set up

refuse_powerful_role()
