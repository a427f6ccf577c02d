"""The invented people of the demo practice, and what its clients write. No one here exists.

Telephone numbers are from the range Ofcom keeps for drama, addresses end in `.example`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.accounts.models import Role
from apps.alliance.models import Cause
from apps.endings.models import Wish
from apps.ruptures.models import RuptureEpisode, Worksheet

PRACTICE = {
    "name": "Fernbank Psychotherapy",
    "sender_name": "Fernbank",
    "country": "GB",
    "time_zone": "Europe/London",
    "contact_name": "Ruth Adeyemi",
    "contact_phone": "020 7946 0018",
    "contact_email": "ruth@fernbank.example",
}

Outcome = RuptureEpisode.Outcome


@dataclass(frozen=True, kw_only=True)
class Person:
    """A client: how the course went, and what people did about it.

    `today`: which of the therapist's sessions of today is theirs, from 0; None: another day.
    `says`: the client's comments by how many sessions ago they were written.
    `notes`: on the steps of a repair, in their order, as far as they got.
    `waits`: has not answered the last form. `bounces`: the last message came back.
    """

    initials: str
    approach: str
    part: str = "steady"
    sessions: int
    today: int | None = None
    says: Mapping[int, str] = field(default_factory=dict)
    cause: Cause | None = None
    kind: str = ""
    notes: tuple[str, ...] = ()
    next_action: str = ""
    outcome: Outcome | None = None
    reason: str = ""
    acknowledged: bool = False
    shared: bool = False
    waits: bool = False
    bounces: bool = False
    declines: bool = False


@dataclass(frozen=True, kw_only=True)
class Colleague:
    """A member of the practice. `away`: the week, counted back, in which they were ill.

    `pace_min`: minutes between the starts of today's sessions. `offers` and `languages`: what they
    say they can offer a client who moves, with room for one where they say anything.
    """

    name: str
    email: str
    role: Role
    clients: tuple[Person, ...] = ()
    pace_min: int = 75
    away: int = 6
    offers: tuple[Wish, ...] = ()
    languages: tuple[str, ...] = ("en-gb",)


HANA = Colleague(
    name="Hana Lindqvist",
    email="hana@fernbank.example",
    role=Role.THERAPIST,
    clients=(
        Person(
            initials="K. M.",
            approach="CBT",
            part="marked again",
            sessions=18,
            today=0,
            outcome=Outcome.REPAIRED,
            cause=Cause.MISUNDERSTANDING,
            says={
                0: "I felt a bit rushed at the end. Not sure you heard what I meant about my "
                "sister.",
                3: "Really useful to draw it out on paper.",
                6: "Glad we talked about the homework thing.",
            },
        ),
        Person(initials="B. N.", approach="CBT", sessions=20, today=1, waits=True),
        Person(
            initials="S. P.",
            approach="Integrative",
            part="rising",
            sessions=22,
            today=2,
            says={1: "I noticed I could say no this week. It came from what we practised."},
        ),
        Person(
            initials="T. A.",
            approach="CBT",
            part="recovering",
            sessions=13,
            today=3,
            acknowledged=True,
            cause=Cause.EXPECTATIONS,
            kind=Worksheet.Kind.WITHDRAWAL,
            notes=(
                (
                    "Said “fine” a lot. Left the thought record at home again. I felt pulled to "
                    "problem-solve."
                ),
                "“I think I went too fast last week. How was it for you?”",
                "Homework felt like being marked.",
                (
                    "Client: did not want to let me down. Me: went to solutions before the feeling "
                    "was heard."
                ),
                "Do the thought record together in the session. Check the pace halfway through.",
            ),
            next_action="Ask: “Has it felt slow enough these two weeks?”\n"
            "Leave ten minutes at the end",
            says={0: "It helped that you asked how last time had felt for me."},
        ),
        Person(initials="A. V.", approach="CBT", part="new", sessions=2, today=4),
        Person(initials="E. S.", approach="Integrative", part="silent", sessions=15),
        Person(
            initials="L. O.",
            approach="Schema",
            part="repaired",
            sessions=21,
            outcome=Outcome.REPAIRED,
            cause=Cause.TRANSFERENCE,
            says={
                4: "I wondered afterwards if you were annoyed with me.",
                2: "It was good to hear that you were not cross. I could breathe again.",
            },
        ),
        Person(initials="C. A.", approach="CBT", part="ceiling", sessions=12),
        Person(
            initials="J. D.",
            approach="Psychodynamic",
            part="possible",
            sessions=22,
            says={0: "I went home feeling that I had talked around it again."},
        ),
        Person(initials="R. H.", approach="CBT", part="steady", sessions=22),
        Person(initials="G. F.", approach="Supportive", sessions=12, declines=True),
        Person(
            initials="N. W.",
            approach="CBT",
            part="repaired long ago",
            sessions=19,
            outcome=Outcome.REPAIRED,
            cause=Cause.LIFE_CHANGE,
            says={9: "With the move I could hardly think about anything else."},
        ),
        Person(initials="M. C.", approach="ACT", sessions=17, waits=True),
        Person(
            initials="D. K.",
            approach="Psychodynamic",
            part="rising",
            sessions=14,
            says={2: "The picture of the two rooms stayed with me all week."},
        ),
        Person(initials="Y. B.", approach="CBT", part="new", sessions=1),
        Person(initials="P. E.", approach="ACT", sessions=9, bounces=True),
    ),
)

TOMASZ = Colleague(
    name="Tomasz Zielinski",
    email="tomasz@fernbank.example",
    role=Role.THERAPIST,
    offers=(Wish.MAN, Wish.EVENINGS, Wish.STRUCTURED),
    languages=("en-gb", "pl"),
    pace_min=90,
    away=9,
    clients=(
        Person(initials="O. L.", approach="CBT", part="rising", sessions=11, today=0),
        Person(initials="F. R.", approach="Integrative", sessions=18, today=1, waits=True),
        Person(
            initials="H. T.",
            approach="CBT",
            sessions=21,
            today=2,
            says={0: "A calm hour. I had not expected to laugh."},
        ),
        Person(
            initials="I. G.",
            approach="Schema",
            part="recovering longer",
            sessions=17,
            today=3,
            acknowledged=True,
            cause=Cause.NO_PROGRESS,
            says={3: "I am not sure that this is getting me anywhere."},
        ),
        Person(
            initials="V. S.",
            approach="Psychodynamic",
            part="waiting",
            sessions=16,
            says={1: "It felt as if we wanted different things from the hour."},
        ),
        Person(
            initials="U. N.",
            approach="CBT",
            part="erosion",
            sessions=20,
            acknowledged=True,
            says={4: "Fine, I think. A bit the same as the last weeks."},
        ),
        Person(initials="W. D.", approach="CBT", part="silent", sessions=13),
        Person(initials="A. M.", approach="ACT", part="ceiling", sessions=10),
        Person(
            initials="B. J.",
            approach="Integrative",
            part="not a rupture",
            sessions=19,
            outcome=Outcome.NOT_A_RUPTURE,
            reason="Had a migraine that day and filled in the form in the evening; nothing "
            "between us.",
        ),
        Person(initials="C. Z.", approach="CBT", sessions=8),
        Person(initials="E. K.", approach="Schema", part="new", sessions=2),
        Person(initials="L. P.", approach="CBT", part="rising", sessions=23),
        Person(
            initials="S. V.",
            approach="Psychodynamic",
            sessions=15,
            says={5: "I like that I do not have to be quick here."},
        ),
    ),
)

PRIYA = Colleague(
    name="Priya Raman",
    email="priya@fernbank.example",
    role=Role.THERAPIST,
    offers=(Wish.WOMAN, Wish.ONLINE, Wish.TRAUMA),
    pace_min=60,
    away=4,
    clients=(
        Person(initials="G. H.", approach="EMDR", sessions=14, today=0),
        Person(initials="J. O.", approach="CBT", sessions=10, today=1, waits=True),
        Person(initials="M. T.", approach="CBT", part="rising", sessions=16, today=2),
        Person(initials="N. A.", approach="EMDR", part="new", sessions=1, today=3),
        Person(
            initials="R. C.",
            approach="Integrative",
            part="repaired",
            sessions=18,
            today=4,
            outcome=Outcome.REPAIRED,
            cause=Cause.VALUES,
            says={4: "We see family differently and it was hard to say so."},
        ),
        Person(
            initials="P. S.",
            approach="CBT",
            part="unrepaired",
            sessions=17,
            acknowledged=True,
            shared=True,
            cause=Cause.BOUNDARY,
            says={2: "The question about my marriage came too early for me."},
        ),
        Person(
            initials="T. L.",
            approach="Supportive",
            part="settled lower",
            sessions=22,
            acknowledged=True,
        ),
        Person(initials="D. F.", approach="CBT", part="ceiling", sessions=13),
        Person(
            initials="H. E.",
            approach="EMDR",
            part="repaired long ago",
            sessions=20,
            outcome=Outcome.REPAIRED,
            cause=Cause.MISUNDERSTANDING,
        ),
        Person(
            initials="K. B.",
            approach="CBT",
            sessions=7,
            says={1: "Leaving with one small thing to try is just right."},
        ),
        Person(initials="Z. I.", approach="Integrative", part="marked", sessions=12),
    ),
)

THERAPISTS = (HANA, TOMASZ, PRIYA)
SUPERVISOR = Colleague(name="Miriam Osei", email="miriam@fernbank.example", role=Role.SUPERVISOR)
MANAGER = Colleague(name="Ines Duarte", email="ines@fernbank.example", role=Role.MANAGER)
COLLEAGUES = (*THERAPISTS, SUPERVISOR, MANAGER)
