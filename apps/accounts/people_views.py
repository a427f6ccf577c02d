"""Pages by which a manager tends the people of a practice. No clinical data comes near them."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts import oneself, selectors, services
from apps.accounts import people_forms as forms
from apps.accounts.models import Membership, Role, Supervision
from apps.accounts.permissions import MemberRequest, Permission, require
from apps.accounts.sign_in import require_recent_sign_in

ON_THE_LIST = gettext_lazy("Somebody with this address is on the list already.")
LAST_MANAGER = gettext_lazy(
    "Nobody else manages this practice. Give somebody else that role first."
)
NOT_ONESELF = gettext_lazy("Nobody changes their own roles. Another manager does it for you.")
SUPERVISES = gettext_lazy(
    "You are still recorded as a supervisor. Set the last day of those links first; new ones that "
    "you give yourself begin after seven days."
)


@require(Permission.MANAGE_PRACTICE)
@require_safe
def people(request: MemberRequest) -> HttpResponse:
    """Everybody who works here, and who supervises whom."""
    page = selectors.people_page(request.membership, today=request.today)
    return render(request, "accounts/people.html", {"page": page})


@require(Permission.MANAGE_PRACTICE)
@require_http_methods(["GET", "HEAD", "POST"])
@require_recent_sign_in
def invite(request: MemberRequest) -> HttpResponse:
    """Invite a person by email."""
    form = forms.InvitationForm(_sent(request))
    if form.is_valid() and _invited(request, form):
        messages.success(
            request, _("An invitation is on its way to %(email)s.") % form.cleaned_data
        )
        return redirect("people")
    return render(request, "accounts/invite.html", {"form": form})


@require(Permission.MANAGE_PRACTICE)
@require_http_methods(["GET", "HEAD", "POST"])
@require_recent_sign_in
def member(request: MemberRequest, member_id: UUID) -> HttpResponse:
    """One person: their roles, and what else can be done."""
    person = _colleague(request, member_id)
    form = forms.ChangeRolesForm(_sent(request), initial={"roles": person.roles})
    if form.is_valid() and _roles_changed(request, person, form):
        messages.success(request, _("Saved. %s signs in again.") % person.name)
        return redirect("people")
    return _member_page(request, person, form=form)


@require(Permission.MANAGE_PRACTICE)
@require_POST
@require_recent_sign_in
def invite_again(request: MemberRequest, member_id: UUID) -> HttpResponse:
    """Invite somebody to a place that is there: offered before, or made by an import."""
    person = _colleague(request, member_id)
    if not services.may_be_invited(person):
        return _taken(request, person)
    form = forms.PlaceForm(request.POST)
    try:
        if not (form.is_valid() and _offered(request, person, form)):
            return _member_page(request, person, invitation=form)
    except services.PlaceTaken:
        return _taken(request, person)
    said = _("An invitation is on its way to %(email)s; any sent before is void.")
    messages.success(request, said % form.cleaned_data)
    return redirect("people")


@require(Permission.MANAGE_PRACTICE)
@require_POST
@require_recent_sign_in
def deactivate(request: MemberRequest, member_id: UUID) -> HttpResponse:
    """Close a person's place here, at once."""
    person = _colleague(request, member_id)
    try:
        services.deactivate_member(member=person, by=request.membership)
        said = _(
            "Closed: %s has no access here any more. Hand over who is still on their caseload."
        )
        messages.success(request, said % person.name)
    except services.LastManager:
        messages.error(request, str(LAST_MANAGER))
    except oneself.TooNew as error:
        messages.error(request, str(error))
    return redirect("people")


@require(Permission.MANAGE_PRACTICE)
@require_POST
@require_recent_sign_in
def reactivate(request: MemberRequest, member_id: UUID) -> HttpResponse:
    """Open the place of somebody who worked here before."""
    person = _colleague(request, member_id)
    try:
        if services.reactivate_member(member=person, by=request.membership):
            said = _("Open again: %s can sign in.")
        else:
            said = _("An invitation is on its way: %s decides.")
        messages.success(request, said % person.name)
    except services.NeverJoined:
        messages.error(request, _("%s has not joined yet. Invite them again.") % person.name)
    except oneself.NotOneself:
        messages.error(request, _("Nobody opens their own place: ask another manager."))
    except oneself.TooNew as error:
        messages.error(request, str(error))
    return redirect("people")


@require(Permission.MANAGE_PRACTICE)
@require_http_methods(["GET", "HEAD", "POST"])
@require_recent_sign_in
def add_supervision(request: MemberRequest) -> HttpResponse:
    """Let somebody see a colleague's flags, from a day on."""
    form = forms.SupervisionForm(_sent(request), manager=request.membership, today=request.today)
    if not form.is_valid():
        return render(request, "accounts/add_supervision.html", {"form": form})
    services.start_supervision(**form.cleaned_data, by=request.membership)
    messages.success(request, _("The link is recorded."))
    return redirect("people")


@require(Permission.MANAGE_PRACTICE)
@require_http_methods(["GET", "HEAD", "POST"])
@require_recent_sign_in
def end_supervision(request: MemberRequest, supervision_id: UUID) -> HttpResponse:
    """Set the last day of a supervision, or withdraw one that is still to begin."""
    links = Supervision.objects.in_practice_of(request.membership)
    supervision = get_object_or_404(
        links.select_related("supervisor", "supervisee"), id=supervision_id
    )
    first_proposal = {"ends_on": supervision.ends_on or max(request.today, supervision.starts_on)}
    form = forms.EndSupervisionForm(
        _sent(request), supervision=supervision, today=request.today, initial=first_proposal
    )
    template, context = "accounts/end_supervision.html", {"form": form, "supervision": supervision}
    if not form.is_valid():
        return render(request, template, context)
    try:
        services.end_supervision(
            supervision=supervision, **form.cleaned_data, by=request.membership
        )
    except oneself.NotOneself:
        form.add_error(None, _("Nobody ends their own supervision: ask another manager."))
        return render(request, template, context)
    except oneself.TooNew as error:
        form.add_error(None, str(error))
        return render(request, template, context)
    said = _("The last day is recorded.") if supervision.pk else _("The link is withdrawn.")
    messages.success(request, said)
    return redirect("people")


def _sent(request: MemberRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _colleague(request: MemberRequest, member_id: UUID) -> Membership:
    return get_object_or_404(Membership.objects.colleagues_of(request.membership), id=member_id)


def _member_page(
    request: MemberRequest,
    person: Membership,
    *,
    form: forms.ChangeRolesForm | None = None,
    invitation: forms.PlaceForm | None = None,
) -> HttpResponse:
    if invitation is None and services.may_be_invited(person):
        email = person.user.email if person.user else ""
        invitation = forms.PlaceForm(initial={"email": email})
    context = {
        "form": form or forms.ChangeRolesForm(initial={"roles": person.roles}),
        "person": person,
        "invitation": invitation,
        "is_waiting": services.is_waiting(person),
        "role_names": [Role(role).label for role in person.roles],
        "asks_another": person == request.membership and oneself.must_ask_another(person),
    }
    return render(request, "accounts/member.html", context)


def _invited(request: MemberRequest, form: forms.InvitationForm) -> bool:
    practice = request.membership.practice
    try:
        services.invite_member(practice=practice, **form.cleaned_data, by=request.membership)
    except services.AlreadyMember:
        form.add_error("email", ON_THE_LIST)
        return False
    except oneself.TooNew as error:
        form.add_error("roles", str(error))
        return False
    return True


def _taken(request: MemberRequest, person: Membership) -> HttpResponse:
    """The place is somebody's: for long, or since this moment."""
    messages.error(request, _("Not sent: %s has joined already.") % person.name)
    return redirect("people")


def _offered(request: MemberRequest, person: Membership, form: forms.PlaceForm) -> bool:
    try:
        services.invite_to_place(member=person, **form.cleaned_data, by=request.membership)
    except services.AlreadyMember:
        person.refresh_from_db()
        form.add_error("email", ON_THE_LIST)
        return False
    except oneself.TooNew as error:
        form.add_error("email", str(error))
        return False
    return True


def _roles_changed(request: MemberRequest, person: Membership, form: forms.ChangeRolesForm) -> bool:
    try:
        services.change_roles(member=person, **form.cleaned_data, by=request.membership)
    except services.LastManager:
        form.add_error("roles", str(LAST_MANAGER))
        return False
    except oneself.NotOneself:
        form.add_error("roles", str(NOT_ONESELF))
        return False
    except services.SupervisesStill:
        form.add_error("roles", str(SUPERVISES))
        return False
    except oneself.TooNew as error:
        form.add_error("roles", str(error))
        return False
    return True
