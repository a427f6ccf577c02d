"""Whose a form is, by the token that stands in it.

A browser sends a form of before once more, with all that was typed, whoever sits there by then: who
goes back and loads the page anew. What it answers gives words back to who wrote them alone.
"""

from django.contrib.auth.models import AnonymousUser
from django.db import Error
from django.http import HttpRequest
from django.middleware.csrf import CSRF_ALLOWED_CHARS, CSRF_SECRET_LENGTH, CSRF_TOKEN_LENGTH
from django.utils.crypto import constant_time_compare, get_random_string, salted_hmac

from apps.core.forms import NO_FORM

_HALF = CSRF_SECRET_LENGTH // 2


def secret_for(user_id: object) -> str:
    """A secret for the forms of a person's session: 32 letters and digits, of which the second half
    says whose it is, for who has our key.

    >>> len(secret_for(7))
    32
    """
    chosen = get_random_string(_HALF)
    return chosen + _mark(chosen, user_id)


def is_own_form(request: HttpRequest) -> bool:
    """Whether the form that is sent was given to who is signed in, in whatever session of theirs;
    no where the database is away, which alone knows who that is, and of what is no form."""
    try:
        user_id = getattr(request, "user", AnonymousUser()).pk
        token = request.POST.get("csrfmiddlewaretoken", "")
    except (Error, *NO_FORM):
        return False
    is_token = len(token) == CSRF_TOKEN_LENGTH and set(token) <= set(CSRF_ALLOWED_CHARS)
    if user_id is None or not is_token:
        return False
    secret = _unmasked(token)
    return constant_time_compare(secret[_HALF:], _mark(secret[:_HALF], user_id))


def _unmasked(token: str) -> str:
    """The secret of a token as Django gives it: a mask, and the secret moved on by it."""
    mask, moved = (
        [CSRF_ALLOWED_CHARS.index(sign) for sign in half]
        for half in (token[:CSRF_SECRET_LENGTH], token[CSRF_SECRET_LENGTH:])
    )
    return "".join(CSRF_ALLOWED_CHARS[to - by] for by, to in zip(mask, moved, strict=True))


def _mark(chosen: str, user_id: object) -> str:
    return salted_hmac("form", f"{chosen} {user_id}", algorithm="sha256").hexdigest()[:_HALF]
