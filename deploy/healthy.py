"""Ask the web server beside this process whether it serves; exit status 0 when it does."""

from __future__ import annotations

import http.client
import os
import sys
from urllib.parse import urlsplit


def main(port: int = 8000) -> int:
    """Return 0 where /healthz/ answers 200 as it would through the proxy, else 1."""
    headers = {
        "Host": urlsplit(os.environ["BASE_URL"]).hostname or "",
        "X-Forwarded-Proto": "https",
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/healthz/", headers=headers)
        return 0 if connection.getresponse().status == http.HTTPStatus.OK else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
