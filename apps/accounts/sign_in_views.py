"""Pages on the way in that are ours: mailed links, the account, kept drafts, the switcher."""

from typing import cast

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from allauth.core import ratelimit
from allauth.mfa.webauthn.views import remove_webauthn
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts import drafts, known_browsers, selectors, services, sign_in_services
from apps.accounts.links import LinkClosed, read_token
from apps.accounts.models import AccountLink, Membership, User
from apps.accounts.sign_in import require_recent_sign_in, work_in
from apps.accounts.sign_in_forms import AddressForm, JoinForm, NewPasswordForm
from apps.core import tenancy


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def forgotten(request: HttpRequest) -> HttpResponse:
    """Ask for a link to choose a new password; the answer is the same for every address, also to
    the sixth request in an hour, which mails nothing: who asked besides is nobody's to know.

    A browser that is known for the account is counted apart from all others.
    """
    form = AddressForm(request.POST or None)
    if not (request.method == "POST" and form.is_valid()):
        return render(request, "account/forgotten.html", {"form": form})
    email = form.cleaned_data["email"].lower()
    is_known = known_browsers.number_of(email, request)
    if not (is_known or ratelimit.consume(request, action="reset_password")):
        too_many: HttpResponse = ratelimit.respond_429(request)
        return too_many
    action = "reset_password_known" if is_known else "reset_password_unknown"
    is_mailed = ratelimit.consume(request, action=action, key=email)
    sign_in_services.request_password_reset(email=email if is_mailed else "")
    return render(request, "account/forgotten.html", {"form": form, "sent": True})


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def account_link(request: HttpRequest, token: str) -> HttpResponse:
    """Use a mailed link: join a practice, or choose a new password. Looking changes nothing."""
    address = read_token(token)
    if address is None:
        raise Http404
    link = selectors.open_link(practice_id=address.practice_id, link_id=address.link_id)
    if link is None:
        return render(request, "account/link_closed.html", status=410)
    form = _form_for(link, request)
    if not (request.method == "POST" and form.is_valid()):
        return render(request, "account/link.html", {"link": link, "form": form})
    try:
        return _use(request, link, form.cleaned_data.get("password", ""))
    except LinkClosed:
        return render(request, "account/link_closed.html", status=410)


def _form_for(link: AccountLink, request: HttpRequest) -> JoinForm | NewPasswordForm:
    user = cast(User, link.membership.user)
    invited = link.purpose == AccountLink.Purpose.INVITATION
    kind = JoinForm if invited and user.has_usable_password() else NewPasswordForm
    return kind(request.POST if request.method == "POST" else None, user=user)


def _use(request: HttpRequest, link: AccountLink, password: str) -> HttpResponse:
    """Raises LinkClosed where somebody was faster."""
    with tenancy.practice(link.practice_id):
        if link.purpose == AccountLink.Purpose.PASSWORD_RESET:
            sign_in_services.reset_password(link_id=link.id, password=password)
            messages.success(request, _("Your new password is set. Sign in with it."))
            return redirect("login")
        member = services.accept_invitation(link_id=link.id, password=password)
    user = cast(User, member.user)
    if not (password and user.check_password(password)):
        messages.success(request, _("You have joined. Sign in with the password you have."))
        return redirect("login")
    # They have just chosen the password: they need not type it again to set up a second step.
    record_authentication(request, user, method="password", reauthenticated=True)
    response: HttpResponse = perform_login(request, user)
    return response


@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """How the person signs in; where the second step that all need is missing, the way to one."""
    page = selectors.account_page(cast(User, request.user))
    is_missing = settings.MFA_REQUIRED and not page.has_second_step
    template = "account/choose_second_step.html" if is_missing else "account/index.html"
    return render(request, template, {"page": page})


def remove_key(request: HttpRequest, mark: str) -> HttpResponse:
    """Remove one of the person's security keys, by django-allauth's page for it."""
    number = selectors.number_of_key(mark, cast(User, request.user))
    response: HttpResponse = remove_webauthn(request, pk=number)
    return response


@require_recent_sign_in
@require_safe
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """The recovery codes that are left."""
    codes = selectors.unused_recovery_codes(cast(User, request.user))
    return render(request, "mfa/recovery_codes/index.html", {"codes": codes})


@require_http_methods(["GET", "HEAD", "POST"])
def kept_draft(request: HttpRequest) -> HttpResponse:
    """Give back the form that the address names: to send again, or to drop (POST).

    It was written for one practice, and is given back in that one. Beside one of a session that had
    ended stand those of its other windows. What was kept before a proof is found by its address
    alone.
    """
    kept = drafts.kept_for(request)
    id_ = request.GET.get(drafts.FIELD, "")
    if request.method == "POST":
        drafts.drop(request, id_)
        return redirect("home")
    draft = next((each for each in kept if each.id == id_), None)
    if draft is None:
        return redirect("home")
    membership: Membership | None = getattr(request, "membership", None)
    if draft.practice_id in {"", str(membership and membership.practice_id)}:
        others = [each for each in kept if draft.ended and each.ended and each != draft]
        return render(request, "account/kept_draft.html", {"draft": draft, "others": others})
    member = _place_in(request, draft.practice_id)
    if member is None:
        drafts.drop(request, id_)
        messages.info(
            request,
            _("What you were writing is not kept: you have no place in that practice any more."),
        )
        return redirect("home")
    work_in(request, member)
    messages.info(request, _("You work in %s again: what is kept is for there.") % member.practice)
    return redirect(draft.url)


@require_POST
def switch_practice(request: HttpRequest) -> HttpResponse:
    """Work in another practice that the person belongs to."""
    member = _place_in(request, request.POST.get("practice", ""))
    if member is None:
        raise Http404
    work_in(request, member)
    return redirect("home")


def _place_in(request: HttpRequest, practice_id: str) -> Membership | None:
    """The person's own place in a practice."""
    places: list[Membership] = getattr(request, "memberships", [])
    return next((each for each in places if str(each.practice_id) == practice_id), None)
