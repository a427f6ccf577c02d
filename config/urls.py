"""Every address. Each app owns its own; names are used upward and downward alike."""

from django.conf import settings
from django.urls import include, path

from apps.core import hooks
from apps.core import views as core

handler400 = "apps.core.views.bad_request"
handler500 = "apps.feedback.client_views.server_error"

urlpatterns = [
    path("healthz/", core.health, name="health"),
    path("hooks/email/", hooks.email_report, name="email_report"),
    path("hooks/text/<uuid:practice_id>/<uuid:message_id>/", hooks.text_report, name="text_report"),
    path("", include("apps.accounts.urls")),
    path("", include("apps.therapy_sessions.urls")),
    path("", include("apps.feedback.urls")),
    path("", include("apps.ruptures.urls")),
    path("", include("apps.supervision.urls")),
    path("", include("apps.endings.urls")),
    path("", include("apps.dashboard.urls")),
    path("", include("apps.exchange.urls")),
]

if not settings.PRODUCTION:
    from apps.dashboard.styleguide import styleguide

    urlpatterns += [path("styleguide/", styleguide, name="styleguide")]

# Nor where a copy of production runs, whose messages reach somebody.
if not settings.PRODUCTION and settings.ALLOWED_RECIPIENTS is None:
    urlpatterns += [
        path("dev/outbox/", core.dev_outbox, name="dev_outbox"),
        path(
            "dev/texts/2010-04-01/Accounts/<str:account>/Messages.json",
            core.dev_text_gateway,
            name="dev_text_gateway",
        ),
    ]
