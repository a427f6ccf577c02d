"""The manager's page about the rule: alert load, replay before change, decision."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.permissions import MemberRequest, Permission, require
from apps.accounts.sign_in import require_recent_sign_in
from apps.core.typed import not_taken
from apps.dashboard.selectors.rules import rules_page
from apps.feedback.services import practice_questionnaire
from apps.ruptures.forms import RuleDecisionForm
from apps.ruptures.rule_replay import is_enough, propose_local_norms, rated_so_far
from apps.ruptures.rules import decide_change, undecided_change


@require(Permission.MANAGE_PRACTICE)
@require_safe
def rules(request: MemberRequest) -> HttpResponse:
    """How much is flagged, and what a proposed rule would have flagged. Counts only."""
    return _rules_page(request, RuleDecisionForm())


@require(Permission.MANAGE_PRACTICE)
@require_POST
def propose_norms(request: MemberRequest) -> HttpResponse:
    """Have local norms estimated and replayed by a worker."""
    ours = request.membership.practice
    form = practice_questionnaire(ours).detection_form
    if not is_enough(rated_so_far(ours.id, form)):
        messages.error(request, _("There are too few ratings for local norms so far."))
        return redirect("rules")
    try:
        propose_local_norms(practice=ours, detection_form=form, by=request.membership)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("rules")
    messages.success(request, _("The replay has been started. Nothing changes by it."))
    return redirect("rules")


@require(Permission.MANAGE_PRACTICE)
@require_POST
@require_recent_sign_in
def decide_rule(request: MemberRequest) -> HttpResponse:
    """Use the proposed rule from now on, or keep the one in force."""
    form = RuleDecisionForm(request.POST)
    if not form.is_valid():
        return _rules_page(request, form)
    change = undecided_change(request.membership.practice, form.cleaned_data["change"])
    if change is None or change.report is None:
        why = _("This change does not wait for a decision any more; nothing was changed.")
        return not_taken(request, why, back=reverse("rules"))
    decision, reason = form.cleaned_data["decision"], form.cleaned_data["reason"]
    decide_change(change=change, decision=decision, reason=reason, by=request.membership)
    messages.success(
        request, _("Decided: %(decision)s.") % {"decision": change.get_decision_display()}
    )
    return redirect("rules")


def _rules_page(request: MemberRequest, form: RuleDecisionForm) -> HttpResponse:
    member = request.membership
    page = rules_page(member.practice, viewer=member, today=request.today, at=timezone.now())
    context: dict[str, Any] = {"page": page, "form": form}
    return render(request, "dashboard/rules.html", context)
