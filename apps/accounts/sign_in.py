"""Sessions: how they begin and end, what a second step is, and who signed in just now."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.stagekit import clear_login, unstash_login
from allauth.core.exceptions import ReauthenticationRequired
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.middleware.csrf import CSRF_SESSION_KEY, rotate_token
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.accounts import drafts, sign_in_services
from apps.accounts.models import Membership, User
from apps.accounts.selectors import memberships_of, ways_in
from apps.core.form_tokens import secret_for
from apps.core.typed import not_taken

P = ParamSpec("P")
Request = TypeVar("Request", bound=HttpRequest)
View = Callable[Concatenate[Request, P], HttpResponseBase]

BEGAN, SEEN, PRACTICE, FIRST_STEP = "began_at", "seen_at", "practice_id", "first_step"
SEARCHED = "caseload_search"
# The session is written once a minute, not at every request.
SEEN_EVERY_S = 60
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def note_first_step(request: HttpRequest, user: User) -> None:
    """Bind what follows to the password, second step, roles and place of this moment."""
    request.session[FIRST_STEP] = user.get_session_auth_hash()


def forget_first_step(request: HttpRequest) -> None:
    """Where they have changed since the first step, let the sign-in begin anew."""
    half = unstash_login(request, peek=True)
    now = half and half.user and cast(User, half.user).get_session_auth_hash()
    if now and now != request.session.get(FIRST_STEP):
        clear_login(request)


def begin_session(request: HttpRequest, user: User) -> None:
    """Start the clocks of a session in the first, by name, of the person's practices."""
    request.session[BEGAN] = request.session[SEEN] = int(time.time())
    for member in memberships_of(user.id)[:1]:
        work_in(request, member)


def work_in(request: HttpRequest, member: Membership) -> None:
    """Let the session be one in the member's practice from now on, and note the day there.

    It stays so when the person joins another. A form of another practice's page is refused, and
    what was typed given back, whatever was under way meanwhile: its token is that practice's. What
    was to be said there, and what was looked for, is dropped.
    """
    list(messages.get_messages(request))
    request.session.pop(SEARCHED, None)
    request.session[PRACTICE] = str(member.practice_id)
    rotate_token(request)
    request.META["CSRF_COOKIE"] = secret_for(member.user_id)
    sign_in_services.note_day(member=member)


def time_is_over(request: HttpRequest) -> str:
    """Why this session's time is over: "idle", "long" or "" while it is not.

    Keeps the clock of a session that goes on.
    """
    now = int(time.time())
    began = request.session.setdefault(BEGAN, now)
    seen = request.session.setdefault(SEEN, now)
    if now - began > settings.SESSION_COOKIE_AGE:
        return "long"
    if timedelta(seconds=now - seen) > settings.SESSION_IDLE_TIME:
        return "idle"
    if now - seen > SEEN_EVERY_S:
        request.session[SEEN] = now
    return ""


def keep_token(request: HttpRequest) -> None:
    """Take forms of the session that ended with this request, to keep them, until a sign-in."""
    if "CSRF_COOKIE" in request.META:
        request.session[CSRF_SESSION_KEY] = request.META["CSRF_COOKIE"]


def has_second_step(user: User) -> bool:
    """Whether an app or a security key is set up; recovery codes alone are none."""
    is_set_up: bool = is_mfa_enabled(user, [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN])
    return is_set_up


def require_recent_sign_in(view: View[Request, P]) -> View[Request, P]:
    """Let a view be used only by people who proved within five minutes who they are.

    Others prove it first. What they were sending is kept and offered afterwards in their own window
    alone: a copy of the session may send forms meanwhile. The requirement is stamped on the view
    (`view.recent_sign_in`), so that a test can see it.
    """
    checked = reauthentication_required(view)

    @wraps(view)
    def guarded(request: Request, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        try:
            response: HttpResponseBase = checked(request, *args, **kwargs)
        except ReauthenticationRequired:
            if request.method in SAFE_METHODS:
                return _prove_first(request, then=request.get_full_path())
            practice_id = request.session.get(PRACTICE, "")
            user_id = str(request.user.pk)
            try:
                draft = drafts.keep(request, user_id=user_id, practice_id=practice_id, ended=False)
            except drafts.TooLong:
                why = _("You have to show first that it is you, and this is too long to be kept.")
                first = _prove_first(request, then=reverse("home"))
                return not_taken(request, f"{why} {_('Copy it first.')}", back=first.url)
            return _prove_first(request, then=draft.url)
        return response

    guarded.recent_sign_in = True  # type: ignore[attr-defined]
    return guarded


def _prove_first(request: HttpRequest, *, then: str) -> HttpResponseRedirect:
    [method, *_] = get_adapter().get_reauthentication_methods(request.user)
    return redirect(f"{method['url']}?{urlencode({'next': then})}")


page = require_http_methods(["GET", "HEAD", "POST"])
"""django-allauth's form views would take a PUT for a POST."""


def changes_sign_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """End the person's other sessions once the view has changed how they sign in.

    This one goes on, and its browser stays a known one. What stands afterwards tells, not how the
    view answers. What was pressed before a proof is kept nowhere: the page asks for it again.
    What several windows send at one moment goes one after the other: the first ends the others.
    """

    @page
    @wraps(view)
    def changing(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        user = cast(User, request.user)
        if request.method not in SAFE_METHODS and not _goes_on_after_its_turn(user):
            return redirect(request.get_full_path())
        before = ways_in(user.pk)
        try:
            response = view(request, *args, **kwargs)
        except ReauthenticationRequired:
            return _prove_first(request, then=request.get_full_path())
        if ways_in(user.pk) != before:
            sign_in_services.note_sign_in_change(user=user, by=getattr(request, "membership", None))
            update_session_auth_hash(request, user)
            request.signed_in = user  # type: ignore[attr-defined]
        return response

    return changing


def _goes_on_after_its_turn(user: User) -> bool:
    """Hold the person's row until the transaction ends; whether the session is good by then."""
    held = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    return held.get_session_auth_hash() == user.get_session_auth_hash()


def proves_anew(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Give the session a new key once the view has taken a proof: copies of it end without one."""

    @page
    @wraps(view)
    def proving(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        before = get_authentication_records(request, request.user)
        response = view(request, *args, **kwargs)
        if get_authentication_records(request, request.user) != before:
            request.session.cycle_key()
        return response

    return proving
