from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from apps.accounts.models import User
from apps.accounts.services import set_theme


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Change how pages look, and go back to where the person was."""
    chosen = request.POST.get("theme", "")
    if chosen in User.Theme.values and isinstance(request.user, User):
        set_theme(user=request.user, theme=User.Theme(chosen))
    back = request.POST.get("next", "/")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
    return redirect(back if safe else "/")
