"""The calendar file, and the page that opens and ends its address."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.accounts.sign_in import require_recent_sign_in
from apps.core import audit, tenancy
from apps.exchange import calendars
from apps.feedback.limits import seconds_to_wait


@login_not_required
@require_safe
def calendar_file(request: HttpRequest, calendar_token: str) -> HttpResponse:
    """The sessions of whoever made the address; any other address is not found."""
    if wait := seconds_to_wait(request, calendar_token):
        return HttpResponse(status=429, headers={"Retry-After": str(wait)})
    read = calendars.read_token(calendar_token)
    if read is None:
        raise Http404
    practice_id, digest = read
    now = timezone.now()
    with tenancy.practice(practice_id):
        member = calendars.owner(digest)
        if member is None:
            raise Http404
        sessions = calendars.sessions_in_calendar(member, at=now)
        clients = {each.treatment.client_id for each in sessions}
        audit.read("read calendar file", client_ids=clients, by=member)
    return HttpResponse(
        calendars.calendar_file(sessions, at=now), content_type="text/calendar; charset=utf-8"
    )


@require(Permission.VIEW_CASELOAD)
@require_http_methods(["GET", "HEAD", "POST"])
def calendar(request: MemberRequest) -> HttpResponseBase:
    """Show how to read one's diary elsewhere; a POST makes a new address and shows it once."""
    if request.method == "POST":
        return _open_calendar(request)
    return _calendar(request)


@require_recent_sign_in
def _open_calendar(request: MemberRequest) -> HttpResponse:
    token = calendars.open_calendar(by=request.membership)
    return _calendar(request, settings.BASE_URL + reverse("calendar_file", args=[token]))


def _calendar(request: MemberRequest, address: str = "") -> HttpResponse:
    feed = calendars.feed_of(request.membership)
    return render(request, "exchange/calendar.html", {"feed": feed, "address": address})


@require(Permission.VIEW_CASELOAD)
@require_POST
def close_calendar(request: MemberRequest) -> HttpResponse:
    """End the address: what reads it finds nothing from now on."""
    calendars.close_calendar(by=request.membership)
    return redirect("calendar")
