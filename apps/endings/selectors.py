"""Reads about endings: colleagues who may fit a client."""

from dataclasses import dataclass
from datetime import date

from django.utils.translation import gettext as _

from apps.accounts.models import Membership, Role
from apps.clients.models import Treatment
from apps.endings.models import LANGUAGES, Ending, Move, Offer, Wish


@dataclass(frozen=True)
class Colleague:
    """Somebody a client could move to. `fits` and `not_said` speak of the client's wishes."""

    member: Membership
    has_room: bool
    fits: tuple[str, ...]
    not_said: tuple[str, ...]
    words: str

    @property
    def said(self) -> str:
        """In a sentence or two: room, what fits, what is not known."""
        parts = [_("Has room.") if self.has_room else _("No room said.")]
        if self.fits:
            parts.append(_("Fits: %(wishes)s.") % {"wishes": ", ".join(self.fits)})
        if self.not_said:
            parts.append(_("Not said: %(wishes)s.") % {"wishes": ", ".join(self.not_said)})
        return " ".join([*parts, self.words]).strip()


def colleagues_for(move: Move, *, therapist: Membership) -> list[Colleague]:
    """The other therapists of the practice: with room first, then by wishes that fit, then A to Z.

    What they offer is what they wrote themselves. How clients rated them is never looked at.
    """
    members = (
        Membership.objects.colleagues_of(therapist)
        .with_role(Role.THERAPIST)
        .with_account()
        .exclude(id=therapist.id)
        .select_related("offer")
    )
    colleagues = [_colleague(member, move) for member in members]
    colleagues.sort(key=lambda each: (not each.has_room, -len(each.fits), each.member.name))
    return colleagues


def _colleague(member: Membership, move: Move) -> Colleague:
    offer = getattr(member, "offer", None) or Offer(member=member)
    wishes = {str(Wish(wish).label): wish in offer.offers for wish in move.wishes}
    if move.language:
        wishes[language_name(move.language)] = move.language in offer.languages
    return Colleague(
        member=member,
        has_room=offer.has_room,
        fits=tuple(name for name, offered in wishes.items() if offered),
        not_said=tuple(name for name, offered in wishes.items() if not offered),
        words=offer.words,
    )


def language_name(code: str) -> str:
    """'Polish' for 'pl'; the code itself where it is none we know."""
    return str(dict(LANGUAGES).get(code, code))


def wishes_in_words(move: Move) -> str:
    """'A woman, Evening sessions, Polish'."""
    names = [str(Wish(wish).label) for wish in move.wishes]
    return ", ".join([*names, *([language_name(move.language)] if move.language else [])])


def has_passed_on(treatment: Treatment, *, on: date) -> bool:
    """Whether the client came with something to read, by the day `on`."""
    moves = Move.objects.came_true(on=on).filter(treatment=treatment.follows_id)
    return moves.exclude(passes_on=[]).exists()


def earlier_review(treatment: Treatment) -> str:
    """How its therapist looked back on the last treatment of theirs with the same client."""
    endings = Ending.objects.filter(
        treatment__client=treatment.client_id, closed_by=treatment.therapist_id
    )
    last = endings.order_by("-closed_at").first()
    return last.review if last else ""
