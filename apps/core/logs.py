"""What must not get into logs."""

import logging
import re

LINK = re.compile(r"/f/\S+")
# Up to the end of this error: what it quotes may have any number of lines.
DETAIL = re.compile(
    r"DETAIL: .*?(?=\n\nThe above exception was|\n\nDuring handling of the above|\Z)", re.DOTALL
)


class WithoutData(logging.Formatter):
    """Take out of each record what is private, tracebacks included.

    The token of a client's form: whoever holds it can answer. The detail of a database error:
    PostgreSQL quotes the row that it refused.

    >>> record = logging.LogRecord("a", 30, "", 0, "%s: %s", ("Not Found", "/f/SECRET/"), None)
    >>> WithoutData("%(message)s").format(record)
    'Not Found: /f/…'
    """

    def format(self, record: logging.LogRecord) -> str:
        return DETAIL.sub("DETAIL: …", LINK.sub("/f/…", super().format(record)))
