"""Addresses of clients as people type them: what is one, and what only looks like one. Pure."""

import unicodedata

import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _
from phonenumbers import NumberParseException, PhoneNumberType

from apps.core.spellings import refuse_accents

MOBILE = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}


def clean_email(typed: str) -> str:
    """The address as typed, without blanks around it.

    Raises:
        ValidationError: it is no address, is quoted, or mixes alphabets, as look-alikes do.

    >>> clean_email(" kim@mail.example ")
    'kim@mail.example'
    """
    email = typed.strip()
    name, _at, host = email.rpartition("@")
    if any(len(alphabets(label)) > 1 for label in (name, *host.split("."))):
        raise ValidationError(
            _("This address mixes letters of several alphabets. Type it again, in one.")
        )
    if '"' in name or host.startswith("["):  # other spellings of what can be said without
        raise ValidationError(_("Type this address without quotes and brackets."))
    refuse_accents(email)
    try:
        validate_email(email)
    except ValidationError as error:
        raise ValidationError(_("This is no email address, such as kim@mail.example.")) from error
    return email


def clean_phone(typed: str, *, country: str) -> str:
    """A mobile number in its international form (E.164).

    Args:
        country: ISO 3166 code that numbers without a country code belong to; an unknown one
            such as ZZ: to none.

    Raises:
        ValidationError: it is no number, none of that country, or no mobile one.

    >>> clean_phone("07400 123456", country="GB"), clean_phone("+49 1512 3456789", country="GB")
    ('+447400123456', '+4915123456789')
    """
    if any(sign.isalpha() for sign in typed):
        raise ValidationError(_("A phone number has digits only, such as +44 7400 123456."))
    try:
        number = phonenumbers.parse(typed, country)
    except NumberParseException as error:
        if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
            raise ValidationError(
                _("Begin with + and the country code, such as +44 7400 123456.")
            ) from error
        raise ValidationError(_("This is no phone number, such as +44 7400 123456.")) from error
    if not phonenumbers.is_valid_number(number):
        raise ValidationError(
            _(
                "No such number is in use in its country. Check the digits; a number from abroad"
                " begins with + and its country code."
            )
        )
    if phonenumbers.number_type(number) not in MOBILE:
        raise ValidationError(_("This is no mobile number, and text messages need one."))
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def alphabets(text: str) -> set[str]:
    """The alphabets whose letters a text holds, by the first word of their Unicode names.

    >>> sorted(alphabets("p\\u0430y-2"))
    ['CYRILLIC', 'LATIN']
    """
    return {unicodedata.name(sign, "?").split()[0] for sign in text if sign.isalpha()}
