"""The form by which a manager hands a caseload to another therapist, by client codes."""

from datetime import date
from typing import Any, cast
from uuid import UUID

from django import forms
from django.db.models import Prefetch
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts import oneself
from apps.accounts.models import Membership, Role
from apps.accounts.people_forms import NEW_HERE
from apps.clients.models import Treatment
from apps.endings.models import Move


class TreatmentsByCode(forms.ModelMultipleChoiceField):
    """By code, and the day on which somebody else is to treat the client, by a move or not."""

    def label_from_instance(self, obj: Treatment) -> str:
        if obj.ends_on is None:
            return obj.client.code
        code, day = obj.client.code, date_format(obj.ends_on, "j M Y")
        moves_to = obj.followed_by.all() if obj.moves.all() else ()
        # A move may be called off between the two queries: then nobody follows.
        if not moves_to:
            return _("%(code)s, changes hands on %(day)s") % {"code": code, "day": day}
        return _("%(code)s, moves to %(name)s on %(day)s") % {
            "code": code,
            "name": moves_to[0].therapist.name,
            "day": day,
        }


class TakerField(forms.ModelChoiceField):
    """Colleagues by name; beside who joined lately, the day on which their access could begin."""

    def label_from_instance(self, obj: Membership) -> str:
        first = oneself.settled_from(obj)
        if first == timezone.localdate():
            return obj.name
        return _("%(name)s, from %(day)s on") % {
            "name": obj.name,
            "day": date_format(first, "j M Y"),
        }


class HandoverForm(forms.Form):
    """Which clients, and to whom. Nothing but codes is shown, and where a move leads."""

    treatments = TreatmentsByCode(
        Treatment.objects.none(),
        label=gettext_lazy("Clients"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Tick the clients to hand over.")},
    )
    to = TakerField(
        Membership.objects.none(),
        label=gettext_lazy("New therapist"),
        empty_label=gettext_lazy("Choose somebody"),
        error_messages={"required": gettext_lazy("Choose who takes them on.")},
    )

    def __init__(
        self, *args: Any, manager: Membership, therapist: Membership, today: date, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        treatments, to = self.fields["treatments"], self.fields["to"]
        arranged = Move.objects.standing().filter(arranged_at__isnull=False)
        cast(TreatmentsByCode, treatments).queryset = (
            Treatment.objects.to_hand_over(therapist, on=today)
            .select_related("client")
            .prefetch_related(Prefetch("moves", arranged), "followed_by__therapist")
            .order_by("client__code")
        )
        colleagues = Membership.objects.colleagues_of(manager)
        takers = colleagues.with_role(Role.THERAPIST).with_account()
        if oneself.must_ask_another(manager):
            takers = takers.exclude(id=manager.id)
            to.help_text = gettext_lazy("Another manager hands clients over to you, not yourself.")
        elif manager.has_role(Role.THERAPIST):
            to.help_text = gettext_lazy("To yourself: in seven days; the therapist is told now.")
        first = oneself.settled_from(manager)
        if first > today:
            new_here = NEW_HERE % date_format(first, "j M Y")
            to.help_text = f"{to.help_text} {new_here}".strip()
        takers = takers.exclude(id=therapist.id).select_related("practice").order_by("name")
        cast(TakerField, to).queryset = takers

    @property
    def client_ids(self) -> list[UUID]:
        """Clients whose codes the form shows."""
        choices = cast(TreatmentsByCode, self.fields["treatments"]).queryset
        return [each.client_id for each in choices or ()]

    @property
    def is_empty(self) -> bool:
        """Whether there is nobody to hand over."""
        return not list(self["treatments"])
