"""What all spellings of an address have in common. Pure."""

from contextlib import suppress

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

# What the largest providers say of their own addresses: Google ("Dots don't matter in Gmail
# addresses"), Proton ("Addresses and aliases") and Apple ("Your @icloud.com, @me.com and @mac.com
# addresses").
SAME_HOST = {
    "googlemail.com": "gmail.com",
    "pm.me": "proton.me",
    "protonmail.ch": "proton.me",
    "protonmail.com": "proton.me",
    "mac.com": "icloud.com",
    "me.com": "icloud.com",
}
PASSED_OVER = {"gmail.com": ".", "proton.me": ".-_"}


def mailbox(address: str) -> str:
    """What all spellings of an email address have in common; a number stays as it is.

    >>> mailbox(" Kim+news@Mail.example "), mailbox("+447400123456")
    ('kim@mail.example', '+447400123456')
    >>> mailbox("k.im@googlemail.com"), mailbox("k.im@mail.example"), mailbox("+kim@mail.example")
    ('kim@gmail.com', 'k.im@mail.example', '+kim@mail.example')
    """
    name, at, host = address.strip().casefold().rpartition("@")
    if not at:
        return host
    with suppress(UnicodeError):  # 'bücher' and 'xn--bcher-kva' are one host
        host = host.encode("idna").decode()
    host = SAME_HOST.get(host, host)
    read = name[:1] + name[1:].partition("+")[0]
    for sign in PASSED_OVER.get(host, ""):
        read = read.replace(sign, "")
    return f"{read}@{host}"


def as_before(address: str) -> str:
    """What `mailbox` was before migration 0015 of clients. What was indexed by it and has lost its
    address since, and links that went out by then, are known by this alone.

    >>> as_before("Kim.Lee+news@Gmail.com"), as_before("+447400123456")
    ('kim.lee@gmail.com', '+447400123456')
    """
    name, at, host = address.strip().casefold().rpartition("@")
    with suppress(UnicodeError):
        host = host.encode("idna").decode()
    return f"{name.partition('+')[0]}{at}{host}"


def refuse_accents(address: str) -> None:
    """Raise ValidationError for an email address that few servers deliver to, and whose letters
    could look like another's, or be taken for it.

    Of hosts, for letters that the two standards of such names (RFC 3490 and RFC 5891) read as two
    hosts: mail goes by the older one.

    >>> refuse_accents("kim@bücher.example")
    """
    name, _at, host = address.rpartition("@")
    if set("ßς\u200c\u200d") & set(host.lower()):
        raise ValidationError(
            _("After the @ there is a letter that could be read as another: type it as “xn--…”.")
        )
    if not name.isascii():
        raise ValidationError(
            _("Before the @ only letters without accents, digits and signs can be delivered.")
        )
