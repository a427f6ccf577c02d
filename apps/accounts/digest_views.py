"""The way out of the weekly mail that stands in it."""

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from apps.accounts.digest import read_stop_token, stop_digest
from apps.core import tenancy


@csrf_exempt
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def stop_weekly_mail(request: HttpRequest, stop_token: str) -> HttpResponse:
    """Turn off the weekly mail that the link came with, and nothing else; opening changes nothing.

    Mail programs post here by themselves once somebody asks them to (RFC 8058): without a cookie,
    and they follow no redirect.
    """
    read = read_stop_token(stop_token)
    if read is None:
        raise Http404
    practice_id, member_id = read
    if request.method == "POST":
        with tenancy.practice(practice_id):
            stop_digest(member_id=member_id)
    return render(request, "accounts/stop_weekly_mail.html", {"is_off": request.method == "POST"})
