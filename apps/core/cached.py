"""Names of what is cached. They may hold an address or a link, and whoever reads Valkey, or its
file, is to learn neither, also not by trying."""

from django.utils.crypto import salted_hmac


def keyed(name: str, prefix: str, version: int) -> str:
    """A name as it stands in Valkey (`KEY_FUNCTION` of the cache).

    >>> keyed("sign-in:failures:ada@mail.example", "rapport", 1)[:10]
    'rapport:1:'
    """
    hashed = salted_hmac("apps.core.cached", name, algorithm="sha256").hexdigest()
    return f"{prefix}:{version}:{hashed}"
