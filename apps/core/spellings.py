"""What all spellings of a name or an address have in common. Pure."""

import re
from contextlib import suppress

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _


def mailbox(address: str) -> str:
    """What all spellings of an email address have in common; a number stays as it is.

    >>> mailbox(" Kim+news@Mail.example "), mailbox("+447400123456")
    ('kim@mail.example', '+447400123456')
    """
    name, at, host = address.strip().casefold().rpartition("@")
    if not at:
        return host
    with suppress(UnicodeError):  # 'bücher' and 'xn--bcher-kva' are one host
        host = host.encode("idna").decode()
    return f"{name.partition('+')[0]}@{host}"


def refuse_accents(address: str) -> None:
    """Raise ValidationError for an email address that few servers deliver to, and whose letters
    could look like another's, or be taken for it.

    >>> refuse_accents("kim@bücher.example")
    """
    name, _at, _host = address.rpartition("@")
    if not name.isascii():
        raise ValidationError(
            _("Before the @ only letters without accents, digits and signs can be delivered.")
        )


def is_same_name(typed: str, name: str) -> bool:
    """Whether what somebody typed names a person, in whatever order and with whatever title.

    >>> is_same_name("Dr. moreau,  alice", "Alice Moreau"), is_same_name("Ruth Adeyemi", "Ruth")
    (True, False)
    """
    words, wanted = (set(re.findall(r"\w+", each.casefold())) for each in (typed, name))
    return words == wanted or (len(wanted) > 1 and wanted <= words)
