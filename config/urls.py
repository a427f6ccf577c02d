"""Every address. Each app owns its own; names are used upward and downward alike."""

from django.conf import settings
from django.urls import include, path

from apps.core import views as core

handler500 = "apps.feedback.client_views.server_error"

urlpatterns = [
    path("healthz/", core.health, name="health"),
    path("", include("apps.accounts.urls")),
    path("", include("apps.clients.urls")),
    path("", include("apps.therapy_sessions.urls")),
    path("", include("apps.feedback.urls")),
    path("", include("apps.ruptures.urls")),
    path("", include("apps.dashboard.urls")),
]

if not settings.PRODUCTION:
    from apps.dashboard.styleguide import styleguide

    urlpatterns += [
        path("dev/outbox/", core.dev_outbox, name="dev_outbox"),
        path("styleguide/", styleguide, name="styleguide"),
    ]
