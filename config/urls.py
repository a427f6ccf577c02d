"""Every address. Each app owns its own; names are used upward and downward alike."""

from django.conf import settings
from django.contrib.auth import views as auth
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path

from apps.accounts.forms import SignInForm
from apps.accounts.views import theme
from apps.core import views as core

handler500 = "apps.feedback.client_views.server_error"

urlpatterns = [
    path("healthz/", core.health, name="health"),
    path(
        "sign-in/",
        login_not_required(
            auth.LoginView.as_view(authentication_form=SignInForm, redirect_authenticated_user=True)
        ),
        name="login",
    ),
    path("sign-out/", auth.LogoutView.as_view(), name="logout"),
    path("theme/", theme, name="theme"),
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
