"""Who has which form about a client before them, and what can happen meanwhile."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, Role
from apps.accounts.permissions import Permission
from apps.accounts.services import change_roles, deactivate_member
from apps.clients.models import Client, Treatment, TwoPersonRequest
from apps.clients.services import pause_asking
from apps.clients.turns import WAYS
from apps.endings import services as endings
from apps.exchange import rights, two_people
from apps.feedback import choices, corrections
from apps.feedback.lifecycle import expire_request, refit_requests, revoke_links
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import (
    ask_in_room,
    practice_questionnaire,
    record_from_paper,
    submit_response,
)
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.services import record_outcome
from apps.therapy_sessions.models import ProcessNote, TherapySession
from tests.architecture.matrix.building import ITEMS
from tests.architecture.matrix.routes import ROUTES, Route
from tests.architecture.matrix.typed import Form, forms_of
from tests.architecture.matrix.world import Person, World
from tests.factories import TherapySessionFactory

WRITERS = ("therapist", "supervisor", "manager", "record holder")


@dataclass(frozen=True)
class Scene:
    """Somebody with a page about a client before them; `made` are ids of what its state added."""

    world: World
    person: Person
    number: str = "1"
    made: dict[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> dict[str, str]:
        return self.world.cases["a", self.number].ids | self.made

    @property
    def treatment(self) -> Treatment:
        return Treatment.objects.get(id=self.ids["treatment"])

    @property
    def client(self) -> Client:
        return Client.objects.get(id=self.ids["client_id"])

    @property
    def therapist(self) -> Membership:
        return self.treatment.therapist

    @property
    def practice_id(self) -> UUID:
        assert self.person.member
        return self.person.member.practice_id

    def member(self, name: str) -> Membership:
        member = person(self.world, name).member
        assert member
        return Membership.objects.get(id=member.id)


def is_about_a_client(row: Route) -> bool:
    """Whether staff can send a form there about a client."""
    is_staffs = isinstance(row.who, Permission) and "POST" in row.methods
    return is_staffs and (row.client_data or row.codes or row.kwarg in WAYS)


# --- What happens -------------------------------------------------------------------------------


def the_client_is_erased(at: Scene) -> None:
    """Where their therapist has left, or closed the treatment: once the record holder asks anew."""
    asked = TwoPersonRequest.objects.get(id=at.ids["erasure_id"])
    if two_people.lapsed([asked], practice=asked.practice):
        if at.treatment.ends_on is None:
            the_client_is_handed_over(at)
        asked = two_people.ask_to_erase(client=at.client, by=at.member("record holder"))
    two_people.confirm(request=asked, by=at.member("colleague"))


def the_client_is_handed_over(at: Scene) -> None:
    endings.hand_over([at.treatment], to=at.member("colleague"), by=at.member("manager"))


def the_treatment_is_closed(at: Scene) -> None:
    endings.close_treatment(treatment=at.treatment, how="other", review="", by=at.therapist)


def processing_is_restricted(at: Scene) -> None:
    rights.restrict(client=at.client, by=at.therapist)


def their_place_is_closed(at: Scene) -> None:
    deactivate_member(member=at.member(at.person.name), by=at.member("manager"))


def their_role_is_taken_away(at: Scene) -> None:
    change_roles(member=at.member(at.person.name), roles=[Role.MANAGER], by=at.member("manager"))


def the_sessions_are_cancelled(at: Scene) -> None:
    planned = TherapySession.objects.get(id=at.ids["session_id"])
    ProcessNote.objects.filter(therapy_session=planned).delete()
    corrections.cancel_session(session=planned, by=at.therapist)
    logged = TherapySession.objects.get(id=at.ids["logged_id"])
    corrections.correct_session(session=logged, attendance="therapist_cancelled", by=at.therapist)


def the_episode_has_its_outcome(at: Scene) -> None:
    episode = RuptureEpisode.objects.get(id=at.ids["episode_id"])
    record_outcome(episode=episode, outcome=RuptureEpisode.Outcome.REPAIRED, by=at.therapist)


def the_client_stops_messages(at: Scene) -> None:
    choices.stop_messages(client=at.client)


def the_links_are_revoked(at: Scene) -> None:
    revoke_links(client=at.client, by=at.therapist)


def the_form_runs_out(at: Scene) -> None:
    now = timezone.now()
    asked = FeedbackRequest.objects.filter(therapy_session=at.ids["logged_id"])
    asked.update(due_at=now - timedelta(days=2), expires_at=now)
    expire_request(request_id=asked.get().id)


def the_answers_are_entered_from_paper(at: Scene) -> None:
    session = TherapySession.objects.get(id=at.ids["logged_id"])
    record_from_paper(
        therapy_session=session,
        questionnaire=practice_questionnaire(session.practice),
        answers=dict.fromkeys(ITEMS, 5),
        answered_at=timezone.now(),
        by=at.therapist,
    )


# --- Forms that stand on no page of the world as it is built --------------------------------------


def as_built(at: Scene) -> Scene:
    return at


def asking_rests(at: Scene) -> Scene:
    later = timezone.localdate() + timedelta(days=7)
    pause_asking(client=at.client, reason="In hospital", review_on=later, by=at.therapist)
    return at


def a_session_has_begun(at: Scene) -> Scene:
    begun = timezone.now() - timedelta(minutes=30)
    session = TherapySessionFactory.create(treatment=at.treatment, starts_at=begun, attendance="")
    refit_requests(at.treatment)
    return replace(at, made={"session_id": str(session.id)})


def a_session_is_planned(at: Scene) -> Scene:
    """One that nothing is written about."""
    soon = timezone.now() + timedelta(days=2)
    session = TherapySessionFactory.create(treatment=at.treatment, starts_at=soon, attendance="")
    return replace(at, made={"session_id": str(session.id)})


def a_session_was_just_logged(at: Scene) -> Scene:
    session = TherapySessionFactory.create(
        treatment=at.treatment,
        starts_at=timezone.now() - timedelta(hours=20),
        logged_at=timezone.now(),
    )
    return replace(at, made={"logged_id": str(session.id)})


def a_form_is_offered_in_the_room(at: Scene) -> Scene:
    earlier = FeedbackRequest.objects.get(therapy_session=at.ids["logged_id"])
    submit_response(request_id=earlier.id, answers=dict.fromkeys(ITEMS, 7))
    session = TherapySessionFactory.create(
        treatment=at.treatment, starts_at=timezone.now() - timedelta(minutes=55)
    )
    questionnaire = practice_questionnaire(session.practice)
    ask_in_room(therapy_session=session, questionnaire=questionnaire, by=at.therapist)
    return replace(at, made={"logged_id": str(session.id)})


def processing_was_restricted(at: Scene) -> Scene:
    processing_is_restricted(at)
    return at


def the_treatment_was_closed(at: Scene) -> Scene:
    the_treatment_is_closed(at)
    return replace(at, made={"ending_id": str(at.treatment.ending.id)})


def the_client_agreed_to_a_move(at: Scene) -> Scene:
    move = endings.save_what_fits(
        treatment=at.treatment, needs="Evenings", wishes=[], language="", tried="Two talks",
        talked_over_on=None, version="", by=at.therapist,
    )  # fmt: skip
    endings.record_consent(
        move=move, passes_on=["needs"], agreed_on=timezone.localdate(), agreed_how="in_room",
        version=move.version, by=at.therapist,
    )  # fmt: skip
    move.refresh_from_db()
    return replace(at, made={"version": move.version, "to": str(at.member("colleague").id)})


def a_move_is_arranged(at: Scene) -> Scene:
    at = the_client_agreed_to_a_move(at)
    in_a_week = timezone.localdate() + timedelta(days=7)
    move = at.treatment.moves.get()
    endings.arrange_move(
        move=move, to=at.member("colleague"), moves_on=in_a_week, meeting_on=None,
        version=move.version, by=at.therapist,
    )  # fmt: skip
    return at


@dataclass(frozen=True)
class Page:
    """Forms that somebody has before them, once the world is in a state.

    `never` are events that cannot happen in it.
    """

    scene: Scene
    forms: Callable[[Scene], list[Form]]
    state: Callable[[Scene], Scene] = as_built
    never: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Further:
    """A form by its route, what it sends in place of the body of its row, and when it is there."""

    route: str
    sends: Callable[[Scene], dict[str, Any]] | None = None
    state: Callable[[Scene], Scene] = as_built
    who: str = "therapist"
    number: str = "1"
    never: frozenset[str] = frozenset()

    def forms(self, at: Scene) -> list[Form]:
        row = ROUTES[self.route]
        action = reverse(self.route, args=[at.ids[row.kwarg]] if row.kwarg else [])
        case = replace(at.world.cases["a", self.number], ids=at.ids)
        body = row.body(case) if row.body else {}
        return [Form(action, self.sends(at) if self.sends else body)]


def its_own_note(at: Scene) -> dict[str, Any]:
    note = ProcessNote.objects.get(therapy_session=at.ids["session_id"])
    return {"what": [f"therapy_sessions.ProcessNote.text:{note.id}"]}


def the_move(at: Scene) -> dict[str, Any]:
    sent = {"step": "handover", "moves_on": timezone.localdate().isoformat()}
    return sent | {name: at.ids[name] for name in ("to", "version")}


def the_calling_off(at: Scene) -> dict[str, Any]:
    version = at.treatment.moves.get().version
    return {"step": "arranged", "reason": "She stays", "version": version}


def the_handover(at: Scene) -> dict[str, Any]:
    return {"treatments": [at.ids["treatment"]], "to": str(at.member("colleague").id)}


FURTHER = (
    Further("act_on_records", lambda at: {"action": "request_erasure"}),
    Further(
        "act_on_records",
        lambda at: {"action": "lift_restriction"},
        processing_was_restricted,
        never=frozenset({"restricted"}),
    ),
    Further("cancel_session", state=a_session_is_planned),
    Further("close_erasure", lambda at: {"do": "erase_for_good"}, who="supervisor"),
    Further("confirm_consent"),
    Further("end_pause", state=asking_rests),
    Further("erase_texts", its_own_note),
    Further("export_records", lambda at: {"reviewed": "on"}),
    Further("hand_over", the_handover, who="manager"),
    Further("holds", lambda at: {"code": at.client.code}, who="manager"),
    Further("in_room", state=a_form_is_offered_in_the_room),
    Further("left_notes", who="record holder", number="4"),
    Further("move_client", the_move, the_client_agreed_to_a_move),
    Further("move_client", the_calling_off, a_move_is_arranged, never=frozenset({"closed"})),
    Further(
        "quick_log",
        lambda at: {"how": "as_last_time"},
        a_session_has_begun,
        never=frozenset({"sessions cancelled"}),
    ),
    Further(
        "reopen_treatment",
        state=the_treatment_was_closed,
        never=frozenset({"handed over", "closed"}),
    ),
    Further("send_instead", state=a_form_is_offered_in_the_room),
    Further("undo_log", state=a_session_was_just_logged),
)


def pages(world: World) -> Iterator[Page]:
    """Every form about a client that therapist, supervisor, manager and record holder can send:
    those on the pages of the world as it is built, and the further ones."""
    ids = world.cases["a", "1"].ids.values()
    scenes = {name: Scene(world, person(world, name)) for name in WRITERS}
    for scene in scenes.values():
        found = [
            form
            for form in forms_of(world, scene.person)
            if is_about_a_client(ROUTES[form.route])
            and "withdraw_the_request" not in form.sends.values()  # anybody's: it keeps the client
            and (not ROUTES[form.route].kwarg or any(each in form.action for each in ids))
        ]
        yield Page(scene, partial(_as_found, found), never=never(scene.person.name))
    for each in FURTHER:
        scene = replace(scenes[each.who], number=each.number)
        yield Page(scene, each.forms, each.state, each.never | never(each.who))


def _as_found(forms: list[Form], at: Scene) -> list[Form]:
    return forms


def never(who: str) -> frozenset[str]:
    """The practice's only manager loses neither place nor role."""
    return frozenset({"place closed", "role taken away"} if who == "manager" else ())


def person(world: World, name: str) -> Person:
    return next(each for each in world.people if str(each) == f"{name} of practice a")
