from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import notices
from apps.accounts.digest import set_digest
from apps.accounts.forms import DigestForm
from apps.accounts.models import Notice, User
from apps.accounts.sign_in_services import set_theme
from apps.core.addresses import is_own


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Change how pages look, and go back to where the person was."""
    chosen = request.POST.get("theme", "")
    if chosen in User.Theme.values and isinstance(request.user, User):
        set_theme(user=request.user, theme=User.Theme(chosen))
    back = request.POST.get("next", "/")
    return redirect(back if is_own(back, request) else "/")


@require_POST
def read_notice(request: HttpRequest, notice_id: UUID) -> HttpResponse:
    """Put a notice of one's own away, and go back to the start page."""
    member = getattr(request, "membership", None)
    if member is None:
        raise PermissionDenied
    notices.mark_read(notice=get_object_or_404(Notice.objects.told_to(member), id=notice_id))
    return redirect("home")


@require_http_methods(["GET", "HEAD", "POST"])
def digest(request: HttpRequest) -> HttpResponse:
    """Whether the member wants the weekly mail of this practice."""
    member = getattr(request, "membership", None)
    if member is None:
        raise PermissionDenied
    sent = request.POST if request.method == "POST" else None
    form = DigestForm(sent, initial={"wanted": member.wants_digest})
    if form.is_valid():
        set_digest(member=member, by=member, **form.cleaned_data)
        said = _("You get the weekly mail.") if member.wants_digest else _("No weekly mail.")
        messages.success(request, said)
        return redirect("digest")
    return render(request, "accounts/digest.html", {"form": form})
