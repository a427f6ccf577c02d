"""What a refusal says: that nobody is there, or something about us, the moment or a policy.

The first alone is a reason to write to an address no more. The others pass, or are mended by
whoever runs this: where they stopped addresses, one lapsed login would stop those of all clients.
What is in doubt is none.
"""

import re

# RFC 3463 (3.2), RFC 7505 and IANA's registry of enhanced status codes: no such mailbox, no such
# host, no address at all, moved away, a host that takes no mail. X.1.7 and X.1.8 are the sender's,
# X.1.0 and X.1.4 leave it open; X.2 is about a mailbox that is there, X.7 about a policy.
NO_SUCH_MAILBOX = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"}
ENHANCED = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?!\.?\d)")
# Without such a code (RFC 5321 says 550 to a policy as well) it must be said in words. "Mailbox
# unavailable" is what RFC 5321 calls 550 whatever the reason.
WHOSE = r"(user|mailbox|recipient|account|address)"
SAYS_NO_SUCH_MAILBOX = re.compile(
    rf"\b(no such|unknown|invalid|non-?existent|unroute?able) ((local|e-?mail) )?{WHOSE}\b"
    rf"|\b{WHOSE}( is)? (unknown|invalid|not found)\b"
    rf"|\b{WHOSE} (does not|doesn['’]t) exist\b"
    r"|\bno mailbox here\b"
)
SPEAKS_OF_SENDER = re.compile(r"\bsender\b")
SPEAKS_OF_US = re.compile(r"\b(your|relay\w*|authenticat\w+|may not)\b")
# RFC 5321 (4.2.2): refused for good, and not for the command or who we are.
ABOUT_MAILBOX = {"550", "551", "553", "554"}
REPLY = re.compile(r"(?:smtp;\s*)?(\d{3})\b")
# A server quotes whom it was to reach; what stands in an address says nothing of it.
QUOTED = re.compile(r"<[^>]*>|\S+@\S+")


def is_no_mailbox(answer: str) -> bool:
    """Whether a mail server's refusal means that the mailbox does not exist, whoever asks and when.

    Args:
        answer: with its code in front, where that is known.

    >>> is_no_mailbox("550 5.1.1 no such user"), is_no_mailbox("550 No such user here")
    (True, True)
    >>> is_no_mailbox("550 5.7.1 blocked by policy"), is_no_mailbox("450 4.2.1 busy")
    (False, False)
    >>> is_no_mailbox("550 5.1.8 Sender address rejected"), is_no_mailbox("550 Relay not permitted")
    (False, False)
    """
    said = " ".join(QUOTED.sub("", answer.lower()).split())
    reply = REPLY.match(said)
    if (reply and reply[1].startswith("4")) or SPEAKS_OF_SENDER.search(said):
        return False
    if codes := set(ENHANCED.findall(said)):
        return codes <= NO_SUCH_MAILBOX
    is_about_us = SPEAKS_OF_US.search(said) or (reply and reply[1] not in ABOUT_MAILBOX)
    return not is_about_us and bool(SAYS_NO_SUCH_MAILBOX.search(said))


# Twilio's error codes (https://www.twilio.com/docs/api/errors), as it refuses a text and as it
# reports on one: no phone number (21211, 21217), none of a mobile phone (21614, 21635), unknown to
# its network (30005). 21612 is this number with our sender, 30002 our account, 30003 a phone that
# is off, 30006 a landline or a network that our sender does not reach, 30007 a filter.
NO_SUCH_NUMBER = {"21211", "21217", "21614", "21635", "30005"}
ANSWERED_STOP = "21610"
