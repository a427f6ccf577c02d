"""Where a request comes from, as far as that can be known, and where it may be sent on to."""

from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

LONGEST = 2000


def is_own(url: str, request: HttpRequest) -> bool:
    """Whether an address that came with a request leads to this installation, and by HTTPS where
    the request came by it. A bare word is none: it could be the name of a page. Nor is what is
    longer than any of ours."""
    return (
        "/" in url
        and len(url) <= LONGEST
        and url_has_allowed_host_and_scheme(
            url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )
    )


def network_of(request: HttpRequest) -> str:
    """The visitor's IPv4 address, or the /64 of an IPv6 address: one household or clinic.

    `X-Forwarded-For` counts from its right end, where our own proxies write; what stands further
    left anybody can make up. Empty where no address is known, as behind a Unix socket.
    """
    told = request.META.get("REMOTE_ADDR", "")
    proxies = settings.TRUSTED_PROXIES
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if proxies and len(forwarded) >= proxies:
        told = forwarded[-proxies].strip() or told
    try:
        address = ip_address(told)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(address)
