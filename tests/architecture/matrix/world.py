"""Who asks, for what, and what it is to them."""

from dataclasses import dataclass, field
from enum import StrEnum

from apps.accounts.models import Membership, Role
from apps.accounts.permissions import Permission, permissions_of
from tests.architecture.matrix.canaries import Canary


class Relation(StrEnum):
    """What an object is to the person who asks for it."""

    OWN = "own"
    FORMER = "former"
    SUPERVISED = "supervisee's"
    QUIET = "supervisee's, not shared"
    COLLEAGUES = "colleague's"
    HELD = "held"
    LEFT = "held, of who has left"
    FOREIGN = "other practice's"
    MISSING = "missing"
    LINK = "open link"
    ANSWERED = "answered link"
    FORGED = "forged link"


@dataclass
class Case:
    """One client with all that hangs on them, under the names that addresses use."""

    practice: str = ""
    number: str = ""
    therapist: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    is_over: bool = False
    is_quiet: bool = False


@dataclass
class Person:
    """Somebody who asks. Without `key` they have no session cookie.

    `pending`: "code" where they gave a password and owe the second step, "set-up" where they have
    none. `elsewhere`: the name of their other practice, which the switcher shows on every page.
    """

    name: str
    practice: str
    member: Membership | None = None
    key: str = ""
    supervises: tuple[str, ...] = ()
    link: str = ""
    is_user: bool = True
    pending: str = ""
    elsewhere: str = ""

    @property
    def permissions(self) -> frozenset[Permission]:
        return permissions_of(self.member)

    @property
    def is_signed_in(self) -> bool:
        return self.stage in {"set-up", "in"}

    @property
    def stage(self) -> str:
        """How far the person is with signing in: "out", "code", "set-up" or "in"."""
        return (self.pending or "in") if self.key and self.is_user else "out"

    @property
    def works_in(self) -> str:
        """Letters of the practices where the person has an open place."""
        is_in = self.member is not None and self.member.is_active
        return ("ab" if self.elsewhere else self.practice) if is_in else ""

    def __str__(self) -> str:
        return f"{self.name} of practice {self.practice}"


NAMES = (
    "anonymous", "link holder", "therapist", "colleague", "supervisor", "supervising therapist",
    "ex-supervisor", "manager", "disabled member", "disabled user", "code pending",
    "set-up pending", "record holder", "in two practices",
)  # fmt: skip
ROLES = {
    "supervisor": [Role.SUPERVISOR],
    "supervising therapist": [Role.THERAPIST, Role.SUPERVISOR],
    "ex-supervisor": [Role.SUPERVISOR],
    "manager": [Role.MANAGER],
    "record holder": [Role.SUPERVISOR],
}
# Who of the second practice asks: the first shows what becomes of the others.
FROM_THE_OTHER = {"anonymous", "therapist", "supervisor", "manager", "in two practices"}
# Works in both practices: a therapist in the one, the manager of the other.
IN_BOTH = "in two practices"
# Whose clients there are: number, therapist.
CLIENTS = {
    "1": "therapist",
    "2": "colleague",
    "3": "supervising therapist",
    "4": "disabled member",
    "5": "disabled user",
    "6": "therapist",
    "7": "therapist",
    "8": IN_BOTH,
}


@dataclass
class World:
    people: list[Person]
    cases: dict[tuple[str, str], Case]
    missing: Case

    def relation(self, person: Person, case: Case) -> Relation:
        """What the case is to the person, by the rules of product.md."""
        if case is self.missing:
            return Relation.MISSING
        if case.practice != person.practice:
            return Relation.FOREIGN
        if person.name == "record holder":
            return Relation.LEFT if case.therapist == "disabled member" else Relation.HELD
        if person.member and person.name == case.therapist:
            return Relation.FORMER if case.is_over else Relation.OWN
        if person.member and case.therapist in person.supervises and not case.is_over:
            return Relation.QUIET if case.is_quiet else Relation.SUPERVISED
        return Relation.COLLEAGUES

    def objects(self, person: Person) -> list[tuple[Relation, Case]]:
        """One object for each relation the person has, the missing one first."""
        found: dict[Relation, Case] = {Relation.MISSING: self.missing}
        for case in self.cases.values():
            found.setdefault(self.relation(person, case), case)
        return list(found.items())

    def links(self, person: Person) -> list[tuple[Relation, Case]]:
        """Links of either practice; whoever holds one may use it."""
        other = "b" if person.practice == "a" else "a"
        own = self.cases[person.practice, "1"]
        token = own.ids["token"]
        forged = Case(ids={"token": token[:-2] + ("Aw" if token.endswith("AA") else "AA")})
        return [
            (Relation.MISSING, self.missing),
            (Relation.FORGED, forged),
            (Relation.LINK, own),
            (Relation.LINK, self.cases[other, "1"]),
            (Relation.ANSWERED, self.cases[person.practice, "6"]),
        ]

    def may_recall(self, person: Person, canary: Canary) -> bool:
        """Whether this is the code of an ended treatment, the person's own or a supervisee's."""
        case = self.cases.get((canary.practice, canary.number))
        return (
            canary.kind == "c"
            and case is not None
            and (case.practice, case.is_over) == (person.practice, True)
            and case.therapist in {person.name, *person.supervises}
        )

    def may_see(self, person: Person, canary: Canary) -> bool:
        """Whether a page may show this text to this person, whatever the page."""
        if not person.is_signed_in or not person.permissions:
            return False
        if canary.practice != person.practice:
            return False
        if canary.number == "0":
            return True
        relation = self.relation(person, self.cases[canary.practice, canary.number])
        if relation in {Relation.SUPERVISED, Relation.QUIET}:
            return canary.kind == "c"
        return relation in {Relation.OWN, Relation.HELD, Relation.LEFT}
