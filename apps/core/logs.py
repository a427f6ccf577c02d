"""What must not get into logs."""

import logging
import re

LINK = re.compile(r"/f/\S+")


class WithoutLinkTokens(logging.Filter):
    """Take the token out of every address of a client's form: whoever holds it can answer.

    >>> record = logging.LogRecord("a", 30, "", 0, "%s: %s", ("Not Found", "/f/SECRET/"), None)
    >>> WithoutLinkTokens().filter(record), record.getMessage()
    (True, 'Not Found: /f/…')
    """

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "/f/" in message:
            record.msg, record.args = LINK.sub("/f/…", message), None
        return True
