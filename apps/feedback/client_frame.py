"""What stands around every page a client sees: the sender, crisis lines, an independent contact."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from django.core import signing
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import get_random_string

from apps.accounts.models import Practice
from apps.clients.models import Treatment
from apps.feedback.crisis import crisis_lines, telephone
from apps.feedback.models import FeedbackRequest

LEAVE_URL = "https://www.wikipedia.org/"
SALT = "client-frame"
NAME_LENGTH = 16


@dataclass(frozen=True)
class ClientFrame:
    """The frame of one request's pages; an empty one is what an unknown link gets.

    A form carries its frame signed, so that even the page that is shown while the database is
    away names the right lines and the right person, and that what is sent tells whose session the
    page said it was about: `therapist` (`Link.named_therapist`). As it is signed it gets a name of
    its page's own, `once`, by which it is known whether its words were given back.
    """

    sender_name: str = ""
    client_country: str = ""
    practice_country: str = ""
    contact_name: str = ""
    contact_phone: str = ""
    contact_email: str = ""
    language: str = ""
    therapist: str = ""
    once: str = ""

    @classmethod
    def of(cls, request: FeedbackRequest, *, therapist: str = "") -> Self:
        practice, treatment = request.practice, request.therapy_session.treatment
        frame = cls(
            sender_name=practice.sender,
            client_country=treatment.client.country,
            practice_country=practice.country,
            language=treatment.client.language,
            therapist=therapist,
        )
        # Somebody who came to treat the client after they were named is no contact for them, in
        # whichever treatment.
        theirs = Treatment.objects.current(on=timezone.localdate()).filter(client=treatment.client)
        by_now = (each.therapist for each in theirs.select_related("therapist__user"))
        if any(map(practice.contact_is, (treatment.therapist, *by_now))):
            return frame
        return frame.with_contact(practice)

    @classmethod
    def of_practice(cls, practice: Practice) -> Self:
        """The practice's part alone, for a page of its own people."""
        return cls().with_contact(practice)

    def with_contact(self, practice: Practice) -> Self:
        return replace(
            self,
            contact_name=practice.contact_name,
            contact_phone=practice.contact_phone,
            contact_email=practice.contact_email,
        )

    @classmethod
    def sent_with(cls, request: HttpRequest, *, max_age_s: int | None = None) -> Self:
        """The frame of the form that was sent; an empty one where it is none of this address, or
        older."""
        sent, salt = request.POST.get("frame", ""), SALT + request.path
        try:
            return cls(**signing.loads(sent, salt=salt, max_age=max_age_s))
        except (signing.BadSignature, TypeError):
            return cls()

    def signed(self, request: HttpRequest) -> str:
        """For a form that is sent to the address where it is shown: none takes another's."""
        named = asdict(self) | {"once": get_random_string(NAME_LENGTH)}
        return signing.dumps(named, salt=SALT + request.path, compress=True)

    def unsaid_on(self, shown: Self) -> str:
        """The therapist, where the page with that frame did not name them; else ''."""
        return "" if shown.therapist == self.therapist else self.therapist

    def context(self) -> dict[str, Any]:
        """What `layouts/client.html` asks for."""
        return {
            "sender_name": self.sender_name,
            "leave_url": LEAVE_URL,
            "crisis_lines": crisis_lines(self.client_country, self.practice_country),
            "contact": self.contact,
        }

    @property
    def contact(self) -> dict[str, str] | None:
        if not self.contact_name:
            return None
        return {
            "name": self.contact_name,
            "phone": self.contact_phone,
            "phone_href": telephone(self.contact_phone),
            "email": self.contact_email,
        }
