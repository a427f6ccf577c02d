"""Who a request comes from: an unended session, a second step, and one practice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError
from psycopg.errors import DeadlockDetected
from redis import RedisError

from apps.accounts import drafts, known_browsers, sign_in
from apps.accounts.models import Membership, User
from apps.accounts.selectors import memberships_of
from apps.core import tenancy
from apps.core.crypto import KeyDestroyed
from apps.core.typed import may_hold_words, not_taken

# All that a signed-in person without a second step may reach, beside pages open to everybody.
ENROLMENT = {
    "mfa_index",
    "mfa_activate_totp",
    "mfa_add_webauthn",
    "account_reauthenticate",
    "theme",
}


@dataclass(frozen=True)
class Ended:
    """A session that has ended: whose it was, in which practice, and why."""

    user_id: str
    practice_id: str
    why: str


ENDED = "ended"
"""In the session of strangers that follows: the one that had ended, for forms of other windows."""


class SignInMiddleware:
    """End sessions whose time is over, and hold back people who have set up no second step.

    Forms sent by a session that had ended are kept, also from further windows, and given back once
    their sender has signed in. Where the counters against guessing cannot be reached, nobody signs
    in. Nothing is written about a client who is erased at that moment. Of several who wait for each
    other, whom PostgreSQL stops is told so.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.ended = end_if_over(request)  # type: ignore[attr-defined]
        response = self.get_response(request)
        known_browsers.remember(request, response)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: object, kwargs: object
    ) -> HttpResponse | None:
        if not getattr(view, "login_required", True):
            return None
        ended: Ended | None = request.ended  # type: ignore[attr-defined]
        if not ended and not request.user.is_authenticated and may_hold_words(request):
            before = request.session.get(ENDED)
            ended = before and Ended(*before)
        if ended:
            return sign_in_again(request, ended)
        drafts.drop_if_sent_again(request)
        match = request.resolver_match
        if (
            settings.MFA_REQUIRED
            and isinstance(request.user, User)
            and not (match and match.url_name in ENROLMENT)
            and not sign_in.has_second_step(request.user)
        ):
            return redirect("mfa_index")
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, RedisError | OperationalError):
            return render(request, "503.html", status=503)
        if isinstance(error, KeyDestroyed):
            why = _("This client was erased meanwhile; nothing was saved.")
            return not_taken(request, why, back=reverse("home"))
        if isinstance(error.__cause__, DeadlockDetected):
            why = _("Others changed the same at this moment; nothing of yours was saved.")
            return not_taken(request, f"{why} {_('Do it once more.')}", back=reverse("home"))
        return None


def end_if_over(request: HttpRequest) -> Ended | None:
    """End the session of the request if its time is over; None where there is none or it goes on.

    Half a sign-in is forgotten where what it began with has changed.

    A session that was bound to an earlier password, second step or role has been ended already,
    by Django, when it looked up the person.
    """
    user_id = request.session.get(SESSION_KEY)
    if user_id is None:
        sign_in.forget_first_step(request)
        return None
    practice_id = request.session.get(sign_in.PRACTICE, "")
    why = sign_in.time_is_over(request) if request.user.is_authenticated else "changed"
    if not why:
        return None
    logout(request)
    sign_in.keep_token(request)
    request.session[ENDED] = [user_id, practice_id, why]
    return Ended(user_id, practice_id, why)


def sign_in_again(request: HttpRequest, ended: Ended) -> HttpResponse:
    """Send the person to the sign-in page, saying why and keeping what they were sending; where
    that is too long, say how they get it back."""
    why = {
        "idle": _("You were signed out after 30 minutes without a click."),
        "long": _("You were signed out after 12 hours."),
        "changed": _("You were signed out because your sign-in or your roles have changed."),
    }[ended.why]
    if may_hold_words(request):
        try:
            draft = drafts.keep(
                request, user_id=ended.user_id, practice_id=ended.practice_id, ended=True
            )
        except drafts.TooLong:
            long = _("What you were writing is too long to be kept.")
            return not_taken(request, f"{why} {long}", back=reverse("login"))
        messages.info(request, f"{why} {_('What you were writing is kept.')}")
        return redirect_to_login(draft.url)
    messages.info(request, why)
    here = request.get_full_path() if request.method in sign_in.SAFE_METHODS else reverse("home")
    return redirect_to_login(here)


class PracticeMiddleware:
    """Set `request.membership` (None for strangers) and `request.today`, inside the practice.

    It owns the transaction in which row-level security shows this practice's rows; the one that
    Django opens around each view (`ATOMIC_REQUESTS`) is a savepoint in it, so that a view that
    raises still leaves nothing behind. Where a person belongs to several practices
    (`request.memberships`), the first by name is theirs until they switch.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        memberships = memberships_of(request.user.pk) if request.user.pk else []
        membership = chosen(memberships, request.session.get(sign_in.PRACTICE, ""))
        request.memberships = memberships  # type: ignore[attr-defined]
        request.membership = membership  # type: ignore[attr-defined]
        if membership is None:
            request.today = timezone.localdate()  # type: ignore[attr-defined]
            return self.get_response(request)
        # As the session was checked against, whatever they change to while the request goes on.
        membership.user = cast(User, request.user)
        ours = membership.practice
        with tenancy.practice(ours.id, zone=ZoneInfo(ours.time_zone)):
            request.today = timezone.localdate()  # type: ignore[attr-defined]
            return self.get_response(request)


def chosen(memberships: list[Membership], practice_id: UUID | str) -> Membership | None:
    """The membership in the practice a person switched to, else their first; None for strangers."""
    wanted = (each for each in memberships if str(each.practice_id) == str(practice_id))
    return next(wanted, None) or next(iter(memberships), None)
