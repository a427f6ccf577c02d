"""Where django-allauth is bent to the rules of the house: design of accounts in one place.

Nobody signs up, guessing slows down, a step-up asks for the second step where there is one, and
the secrets of second steps are sealed in the database.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.core.internal import ratelimit
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts import known_browsers, sign_in, throttle
from apps.accounts.models import User
from apps.core import sealing
from apps.core.addresses import is_own

SECRETS = "second step"  # pragma: allowlist secret
# Signing in and out speaks for itself.
UNSAID = {"account/messages/logged_in.txt", "account/messages/logged_out.txt"}


class AccountAdapter(DefaultAccountAdapter):
    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": gettext_lazy(
            "Email address and password do not belong together. Check both and try again."
        ),
        "too_many_login_attempts": gettext_lazy(
            "A hundred sign-ins failed at your internet address within an hour, perhaps not yours. "
            "Wait up to an hour, use another connection, or a browser in which you were the last "
            "to sign in. If it was none of you, tell your practice manager."
        ),
        "incorrect_password": gettext_lazy("That is not your password. Try again."),
        "enter_current_password": gettext_lazy("That is not your present password. Try again."),
        "incorrect_code": gettext_lazy(
            "That code does not fit. Codes change every 30 seconds and work once: take the next."
        ),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_ajax(self, request: HttpRequest) -> bool:
        """Every page answers by a page or a redirect, whatever a header asks for."""
        return False

    def is_safe_url(self, url: str) -> bool:
        return is_own(url, context.request)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Check a password, slower and slower for an account that is guessed at.

        What fails counts towards the limit of the address it comes from, which a browser that is
        known for the account passes. What the limit refuses counts for no account. Steps after the
        password are not asked for it: their codes have a pause of their own, and whoever is in
        must be able to prove it.

        Raises:
            ValidationError: it is too early for another attempt, or one from that address.
        """
        email: str = credentials["email"]
        number = known_browsers.number_of(email, request)
        with (
            nullcontext() if number else self._counted_at_address(request) as at_address,
            throttle.attempt(f"password:{email}", browser=number) as attempt,
        ):
            user: User | None = super().authenticate(request, **credentials)
            attempt.succeeded = user is not None
            if at_address:
                at_address.succeeded = attempt.succeeded
        return user

    @contextmanager
    def _counted_at_address(self, request: HttpRequest) -> Iterator[throttle.Attempt]:
        """One attempt from an address. It counts before the block runs, so that many at once gain
        nothing, and counts no more where it succeeded or was refused unread."""
        used = ratelimit.consume(request, app="allauth.account", action="password_failed")
        if used is None:
            raise self.validation_error("too_many_login_attempts")
        this = throttle.Attempt(succeeded=True)
        try:
            yield this
        finally:
            if this.succeeded:
                used.rollback()

    def reauthenticate(self, user: AbstractBaseUser, password: str) -> bool:
        email = cast(User, user).email
        return self.authenticate(context.request, email=email, password=password) == user

    def get_reauthentication_methods(
        self, user: AbstractBaseUser | AnonymousUser
    ) -> list[dict[str, Any]]:
        """With a second step, a password alone proves too little."""
        methods = super().get_reauthentication_methods(user)
        return [each for each in methods if each["id"] != "reauthenticate"] or methods

    def pre_login(
        self, request: HttpRequest, user: AbstractBaseUser, **about: Any
    ) -> HttpResponse | None:
        sign_in.note_first_step(request, cast(User, user))
        response: HttpResponse | None = super().pre_login(request, user, **about)
        return response

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Begin the session. Bound to the first step, it ends at once where that holds no more."""
        bound_to = request.session.pop(sign_in.FIRST_STEP)
        super().login(request, user)
        request.session[HASH_SESSION_KEY] = bound_to
        sign_in.begin_session(request, cast(User, user))
        request.signed_in = user  # type: ignore[attr-defined]

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if message_template not in UNSAID:
            super().add_message(request, level, message_template, *args, **kwargs)


class SecondStepAdapter(DefaultMFAAdapter):
    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": AccountAdapter.error_messages["incorrect_code"],
    }

    def encrypt(self, text: str) -> str:
        return sealing.seal(text, purpose=SECRETS)

    def decrypt(self, encrypted_text: str) -> str:
        return sealing.unseal(encrypted_text, purpose=SECRETS)

    def generate_authenticator_name(
        self,
        user: AbstractBaseUser,
        type: Authenticator.Type,  # noqa: A002
    ) -> str:
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1
        return _("Security key") if number == 1 else _("Security key %d") % number

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {**super().get_public_key_credential_rp_entity(), "name": "Rapport"}

    def get_public_key_credential_user_entity(self, user: AbstractBaseUser) -> dict[str, Any]:
        entity = super().get_public_key_credential_user_entity(user)
        return {**entity, "display_name": entity["name"]}
