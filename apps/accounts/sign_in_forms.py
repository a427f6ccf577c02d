"""Forms on the way in: django-allauth's in our words and at our pace, and those of our own."""

from collections.abc import Callable
from typing import Any

from allauth.account import forms as account
from allauth.account.adapter import get_adapter
from allauth.core import context
from allauth.mfa import adapter as second_step
from allauth.mfa.base import forms as mfa
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn import forms as webauthn
from django import forms
from django.contrib.auth import password_validation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts import known_browsers, throttle
from apps.accounts.models import User
from apps.accounts.selectors import memberships_of
from apps.core.forms import UNREADABLE

CODE_LENGTHS = {6, 8}
"""Digits of an app's code and of a recovery code."""
LONGEST_ADDRESS = 254


class AddressInput(forms.EmailInput):
    """Gives back no more of what a stranger typed than an address can be long (RFC 5321)."""

    def format_value(self, value: Any) -> str | None:
        shown: str | None = super().format_value(value)
        return shown and shown[:LONGEST_ADDRESS]


def _plain(field: forms.Field, label: Any, **attributes: str) -> None:
    """Drop what allauth writes into and under a field; the page says it."""
    field.label, field.help_text = label, ""
    field.widget.attrs.pop("placeholder", None)
    field.widget.attrs.update(attributes)


class SignInForm(account.LoginForm):
    """Email address and password; one sentence for whatever does not fit."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].widget = AddressInput(self.fields["login"].widget.attrs)
        _plain(self.fields["login"], _("Work email"), autocomplete="username")
        _plain(self.fields["password"], _("Password"))

    def add_prefix(self, field_name: str) -> str:
        """The name by which password managers know the field."""
        return "username" if field_name == "login" else field_name

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
        if self.user and not self.user.is_active:
            raise get_adapter().validation_error("email_password_mismatch")
        if self.user and not memberships_of(self.user.pk):
            raise forms.ValidationError(
                _("You have no place in a practice at present. Ask your practice manager.")
            )
        return cleaned


class PasswordAgainForm(account.ReauthenticateForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self.fields["password"], _("Password"))


class ChangePasswordForm(account.ChangePasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self.fields["oldpassword"], _("Present password"))
        _plain(self.fields["password1"], _("New password"))
        _plain(self.fields["password2"], _("New password, again"))
        self.fields["password1"].help_text = PASSWORD_HELP

    def clean_oldpassword(self) -> str:
        """Guessed at as slowly as at the sign-in, also from within somebody's session."""
        browser = known_browsers.number_of(self.user.email, context.request)
        with throttle.attempt(f"password:{self.user.email}", browser=browser) as attempt:
            password: str = super().clean_oldpassword()
            attempt.succeeded = True
        return password


class _Code:
    """A code of the second step, guessed at ever more slowly."""

    fields: dict[str, forms.Field]
    cleaned_data: dict[str, Any]
    user: User

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self.fields["code"], _("Code"), inputmode="numeric", maxlength="12")
        self.fields["code"].widget.attrs["class"] = "rp-otp"

    def clean_code(self) -> str:
        digits = "".join(self.cleaned_data["code"].split())
        if len(digits) not in CODE_LENGTHS or not digits.isdigit():
            raise forms.ValidationError(
                _("Enter all six digits, or the eight of a recovery code."), code="incomplete"
            )
        browser = known_browsers.number_of(self.user.email, context.request)
        with throttle.attempt(f"code:{self.user.email}", browser=browser) as attempt:
            code: str = super().clean_code()  # type: ignore[misc]
            attempt.succeeded = True
        return code


class CodeForm(_Code, mfa.AuthenticateForm):
    pass


class CodeAgainForm(_Code, mfa.ReauthenticateForm):
    pass


class FirstCodeForm(_Code, ActivateTOTPForm):
    pass


class _KeyAnswer:
    """What a security key answered, by way of a script: anybody may send anything instead.

    What is no answer fits as little as a wrong one. Pages never show it again.
    """

    add_error: Callable[[str, forms.ValidationError], None]

    def full_clean(self) -> None:
        try:
            super().full_clean()  # type: ignore[misc]
        except UNREADABLE:
            self.add_error(
                "credential", second_step.get_adapter().validation_error("incorrect_code")
            )


class KeyForm(_KeyAnswer, webauthn.AuthenticateWebAuthnForm):
    pass


class KeyAgainForm(_KeyAnswer, webauthn.ReauthenticateWebAuthnForm):
    pass


class SecurityKeyForm(_KeyAnswer, webauthn.AddWebAuthnForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = _("Name of the key")
        self.fields["name"].max_length = 60

    def clean_credential(self) -> Any:
        """Refuse escaped signs, which no key's answer has: PostgreSQL stores not all of them."""
        if "\\u" in self.data["credential"]:
            raise ValueError
        return self.cleaned_data["credential"]


class AddressForm(forms.Form):
    email = forms.EmailField(
        label=gettext_lazy("Work email"),
        widget=AddressInput(attrs={"autocomplete": "username"}),
        error_messages={"invalid": gettext_lazy("This is no email address.")},
    )


PASSWORD_HELP = gettext_lazy(
    "At least 15 characters, such as four or five words. No capitals or signs are needed."
)


class NewPasswordForm(forms.Form):
    """A password by our rules, typed twice."""

    password = forms.CharField(
        label=gettext_lazy("New password"),
        strip=False,
        help_text=PASSWORD_HELP,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label=gettext_lazy("New password, again"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        password_validation.validate_password(password, self.user)
        return password

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if "password" in cleaned and cleaned["password"] != cleaned.get("again"):
            self.add_error("again", _("The two passwords differ. Type the same one twice."))
        return cleaned


class JoinForm(forms.Form):
    """Somebody who has a password already only says yes."""

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
