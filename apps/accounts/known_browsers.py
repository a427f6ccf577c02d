"""Browsers in which a person has signed in before are guessed at apart from all others.

After a sign-in the browser keeps a cookie: a random number, signed for this one account. What is
tried with it has failures and pauses of its own, and is not asked how much others at its address
failed, so that strangers who guess slow each other down and not the owner. It proves nothing else,
and password and second step are asked for as ever. It ends with the sessions: what was known before
a new password or second step, other roles or a closed place is a stranger's from then on. (OWASP:
"device cookies".)
"""

from secrets import token_urlsafe

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.accounts.models import User

KNOWN_FOR_S = 400 * 24 * 60 * 60
"""As long as browsers keep a cookie at most."""


def number_of(account: str, request: HttpRequest) -> str:
    """The browser's own where it is known for the account, else ''."""
    # One look-up for every address.
    ended = User.objects.filter(email=account.lower()).values_list("sessions_ended", flat=True)
    salt = _salt(account, ended=ended.first())
    number = request.get_signed_cookie(
        settings.KNOWN_BROWSER_COOKIE_NAME, default="", salt=salt, max_age=KNOWN_FOR_S
    )
    return number or ""


def remember(request: HttpRequest, response: HttpResponse) -> None:
    """Let the browser keep the cookie, where somebody has signed in with this request."""
    user: User | None = getattr(request, "signed_in", None)
    if user:
        response.set_signed_cookie(
            settings.KNOWN_BROWSER_COOKIE_NAME,
            token_urlsafe(16),
            salt=_salt(user.email, ended=user.sessions_ended),
            max_age=KNOWN_FOR_S,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )


def _salt(account: str, *, ended: int | None) -> str:
    """What signs an account's cookies until its sessions are `ended` once more."""
    return f"apps.accounts.known_browsers:{account.lower()}:{ended}"
