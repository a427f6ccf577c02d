"""Addresses as people type them: kept in one spelling, refused with a sentence that helps."""

import pytest
from django.core.exceptions import ValidationError

from apps.clients.addresses import clean_email, clean_phone
from apps.core.spellings import mailbox

NO_NUMBER = "This is no phone number"
NOT_IN_USE = "No such number is in use in its country."
NOT_MOBILE = "This is no mobile number"
WITH_CODE = "Begin with + and the country code"
DIGITS = "A phone number has digits only"


@pytest.mark.parametrize(
    ("typed", "country", "kept"),
    [
        (" 07400 123456 ", "GB", "+447400123456"),
        ("(07400) 123-456", "GB", "+447400123456"),
        ("+44 (0)7400 123456", "GB", "+447400123456"),
        ("0044 7400 123456", "GB", "+447400123456"),
        ("+49 1512 3456789", "GB", "+4915123456789"),
        ("01512 3456789", "DE", "+4915123456789"),
        ("+33 6 12 34 56 78", "GB", "+33612345678"),
        ("+1 212 555 0123", "GB", "+12125550123"),
        ("+48 512 345 678", "ZZ", "+48512345678"),
        ("٠٧٤٠٠ ١٢٣٤٥٦", "GB", "+447400123456"),
    ],
)
def test_a_mobile_number_is_kept_in_its_international_form(
    typed: str, country: str, kept: str
) -> None:
    assert clean_phone(typed, country=country) == kept


@pytest.mark.parametrize(
    ("typed", "country", "sentence"),
    [
        ("1", "GB", NO_NUMBER),
        ("+", "GB", NO_NUMBER),
        ("07400 12345", "GB", NOT_IN_USE),
        ("07400 1234567", "GB", NOT_IN_USE),
        ("01512 3456789", "GB", NOT_IN_USE),
        ("07400 123456", "DE", NOT_MOBILE),
        ("+999 7400 123456", "GB", WITH_CODE),
        ("07400 123456", "ZZ", WITH_CODE),
        ("020 7946 0018", "GB", NOT_MOBILE),
        ("116 123", "GB", NOT_IN_USE),
        ("O7400 123456", "GB", DIGITS),
        ("07400 123456 ext. 2", "GB", DIGITS),
        ("tel:07400123456", "GB", DIGITS),
        ("0" * 40, "GB", NO_NUMBER),
    ],
)
def test_what_no_text_message_reaches_is_refused_with_what_to_do(
    typed: str, country: str, sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence.replace("+", r"\+")):
        clean_phone(typed, country=country)


@pytest.mark.parametrize("typed", ["kim@mail.example", " kim@mail.example ", "kim@bücher.example"])
def test_an_address_is_kept_as_typed_in_one_alphabet(typed: str) -> None:
    assert clean_email(typed) == typed.strip()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kim@mail.example", " KIM@Mail.example "),
        ("kim@mail.example", "kim+a+b@mail.example"),
        ("kim@mail.example", "kim@\uff4dail.example"),
        ("kim@b\u00fccher.example", "kim@xn--bcher-kva.example"),
        ("+447400123456", "+447400123456"),
    ],
)
def test_a_mailbox_is_known_in_any_spelling(one: str, other: str) -> None:
    assert mailbox(one) == mailbox(other)
    assert mailbox(one) not in {mailbox("k.im@mail.example"), mailbox("+447400123457")}


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("p\u0430yal@mail.example", "mixes letters of several alphabets"),
        ("kim@m\u0430il.example", "mixes letters of several alphabets"),
        ("kím@mail.example", "Before the @ only letters without accents"),
        ("ким@mail.example", "Before the @ only letters without accents"),
        ("kim@fa\u00df.example", "could be read as another: type it as “xn--…”"),
        ('"kim"@mail.example', "without quotes and brackets"),
        ("kim@[203.0.113.7]", "without quotes and brackets"),
        ("kim", "This is no email address"),
        ("kim@", "This is no email address"),
        ("kim@mail", "This is no email address"),
        ("kim@mail.example\nbcc: x@mail.example", "This is no email address"),
        ("kim@a.example, sam@b.example", "This is no email address"),
    ],
)
def test_what_only_looks_like_an_address_is_refused(typed: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        clean_email(typed)
