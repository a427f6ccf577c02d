from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from apps.accounts import notices
from apps.accounts.models import Notice, User
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


@require_POST
def read_notice(request: HttpRequest, notice_id: UUID) -> HttpResponse:
    """Put a notice of one's own away, and go back to the start page."""
    member = getattr(request, "membership", None)
    if member is None:
        raise PermissionDenied
    notices.mark_read(notice=get_object_or_404(Notice.objects.told_to(member), id=notice_id))
    return redirect("home")
