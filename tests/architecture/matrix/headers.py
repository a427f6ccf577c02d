"""What every answer must carry, and what none may."""

from collections.abc import Iterator
from typing import Any

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}
ALWAYS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def wrong_headers(cell: Any, response: Any) -> Iterator[str]:
    """Headers of one answer that are not as declared."""
    headers = response.headers
    policy = headers.get("Content-Security-Policy", "")
    if {part.strip() for part in policy.split(";") if part.strip()} != POLICY:
        yield f"content policy is {policy!r}"
    for name, value in ALWAYS.items():
        if headers.get(name) != value:
            yield f"{name} is {headers.get(name)!r}, not {value!r}"
    if "no-store" not in headers.get("Cache-Control", ""):
        yield "may be kept: Cache-Control lacks no-store"
    for name, cookie in response.cookies.items():
        if cookie["samesite"] != "Lax" or cookie["domain"] or cookie["path"] != "/":
            yield f"cookie {name} is too wide: {cookie.OutputString()}"
        if cookie.value and not cookie["httponly"]:
            yield f"cookie {name} can be read by scripts"
