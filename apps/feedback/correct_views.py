"""Pages that plan, move, cancel and correct sessions."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import ProtectedError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.formats import date_format
from django.utils.timezone import localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.clients.models import Client, Treatment
from apps.core import audit
from apps.feedback import corrections
from apps.feedback.correct_form import CorrectSessionForm, MoveSessionForm
from apps.therapy_sessions.forms import PlanSessionsForm
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import OF_ANOTHER, OfAnother, StartTaken

HAS_BEGUN = gettext_lazy("This session has begun, so it is logged: also as cancelled or missed.")
AFTER_THE_END = gettext_lazy(
    "The client is treated by somebody else from an earlier day on: plan up to then."
)
REFUSALS = {
    corrections.HasBegun: ("start", HAS_BEGUN),
    corrections.AfterTheEnd: ("held_on", AFTER_THE_END),
    OfAnother: ("held_on", OF_ANOTHER),
    StartTaken: ("start", gettext_lazy("Another session with this client starts then.")),
    corrections.HasAnswers: (
        "attendance",
        gettext_lazy("The client has rated this session: it took place."),
    ),
    corrections.EndsForm: (
        "held_on",
        gettext_lazy(
            "A form is open that would end by this. Correct it once that is answered or over."
        ),
    ),
}


@require(Permission.LOG_SESSION)
@require_http_methods(["GET", "HEAD", "POST"])
def plan_sessions(request: MemberRequest, client_id: UUID) -> HttpResponse:
    """Plan sessions with a client of one's own caseload."""
    client = get_object_or_404(Client.objects.visible_to(request.membership), id=client_id)
    treatment = Treatment.objects.conducted_by(request.membership).filter(client=client).first()
    if treatment is None:
        raise PermissionDenied
    sent = request.POST if request.method == "POST" else None
    form = PlanSessionsForm(sent, today=request.today)
    if form.is_valid():
        plan = form.plan() | {"treatment": treatment, "by": request.membership}
        try:
            messages.success(request, _planned_in_words(corrections.plan_sessions(**plan)))
        except (corrections.AfterTheEnd, OfAnother) as error:
            _field, words = REFUSALS[type(error)]
            form.add_error("first_on", words)
        else:
            return redirect("client", client.id)
    audit.read("view client", client_ids=[client.id], target=client, by=request.membership)
    context = {"form": form, "client": client, "planned": _planned(treatment)}
    return render(request, "feedback/plan_sessions.html", context)


@require(Permission.LOG_SESSION)
@require_http_methods(["GET", "HEAD", "POST"])
def move_session(request: MemberRequest, session_id: UUID) -> HttpResponse:
    """Move a planned session of one's own caseload."""
    session = _own(request, session_id, planned=True)
    sent = request.POST if request.method == "POST" else None
    form = MoveSessionForm(sent, session=session, today=request.today)
    if form.is_valid():
        try:
            corrections.move_session(session=session, by=request.membership, **form.values())
        except tuple(REFUSALS) as error:
            form.add_error(*REFUSALS[type(error)])
        except TherapySession.DoesNotExist:  # cancelled or logged meanwhile
            raise Http404 from None
        else:
            messages.success(request, _("The session is moved."))
            return redirect("client", session.treatment.client_id)
    return _page(request, "feedback/move_session.html", session, form)


@require(Permission.LOG_SESSION)
@require_POST
def cancel_session(request: MemberRequest, session_id: UUID) -> HttpResponse:
    """Take a planned session out of the diary."""
    session = _own(request, session_id, planned=True)
    try:
        corrections.cancel_session(session=session, by=request.membership)
        messages.success(request, _("The session is cancelled."))
    except TherapySession.DoesNotExist:  # cancelled or logged meanwhile
        raise Http404 from None
    except corrections.HasBegun:
        messages.error(request, HAS_BEGUN)
    except ProtectedError:
        messages.error(
            request, _("Something is written about this session, so it stays. Move it instead.")
        )
    return redirect("client", session.treatment.client_id)


@require(Permission.LOG_SESSION)
@require_http_methods(["GET", "HEAD", "POST"])
def correct_session(request: MemberRequest, logged_id: UUID) -> HttpResponse:
    """Correct what was logged about a session of one's own caseload."""
    session = _own(request, logged_id, planned=False)
    sent = request.POST if request.method == "POST" else None
    form = CorrectSessionForm(sent, session=session, today=request.today)
    if form.is_valid():
        try:
            corrections.correct_session(session=session, by=request.membership, **form.values())
        except tuple(REFUSALS) as error:
            form.add_error(*REFUSALS[type(error)])
        except TherapySession.DoesNotExist:  # undone meanwhile
            raise Http404 from None
        else:
            messages.success(request, _("The session is corrected."))
            return redirect("client", session.treatment.client_id)
    return _page(request, "feedback/correct_session.html", session, form)


def _own(request: MemberRequest, session_id: UUID, *, planned: bool) -> TherapySession:
    own = TherapySession.objects.conducted_by(request.membership)
    own = own.planned() if planned else own.exclude(attendance="")
    return get_object_or_404(own.select_related("treatment__client__practice"), id=session_id)


def _page(
    request: MemberRequest, template: str, session: TherapySession, form: MoveSessionForm
) -> HttpResponse:
    client = session.treatment.client
    audit.read("view session", client_ids=[client.id], target=session, by=request.membership)
    return render(request, template, {"form": form, "session": session, "client": client})


def _planned(treatment: Treatment) -> list[TherapySession]:
    """What stands in the diary already: the next five."""
    sessions = treatment.therapy_sessions.planned().filter(starts_at__gte=now())
    return list(sessions.order_by("starts_at")[:5])


def _planned_in_words(planned: list[TherapySession]) -> str:
    first = date_format(localtime(planned[0].starts_at), "D j M, H:i")
    words = ngettext(
        "One session is planned: %(first)s.",
        "%(count)s sessions are planned, the first on %(first)s.",
        len(planned),
    )
    return words % {"count": len(planned), "first": first}
