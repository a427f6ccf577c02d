"""Forms about a practice and its people."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership, Practice, Role
from apps.core.forms import ComparedForm
from apps.core.names import is_like_name, is_same_name
from apps.core.spellings import mailbox


class PracticeSettingsForm(ComparedForm):
    """What a manager decides for everybody here.

    The independent contact, somebody clients can turn to who treats none of them, has a name and
    one way to reach them. Where a therapist's name is like theirs, whoever changes name or phone
    says that they are somebody else, which is asked then alone and not stored. A number that is
    left blank stays as it is.
    """

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=120,
        error_messages={"required": gettext_lazy("Name the person clients can turn to.")},
    )
    is_somebody_else = forms.BooleanField(
        label=gettext_lazy("This is somebody else, who treats none of the clients"), required=False
    )
    phone = forms.CharField(label=gettext_lazy("Phone"), max_length=40, required=False)
    email = forms.EmailField(
        label=gettext_lazy("Email"),
        max_length=254,
        required=False,
        error_messages={
            "invalid": gettext_lazy("This is no email address; ruth@example.org would be one.")
        },
    )

    most_requests_in_30_days = forms.IntegerField(
        label=gettext_lazy("Ask each client at most, in 30 days"),
        min_value=1,
        max_value=31,
        required=False,
        help_text=gettext_lazy("5 fits weekly sessions. Clients and therapists see the number."),
        error_messages=dict.fromkeys(
            ("min_value", "max_value", "invalid"), gettext_lazy("Choose 1 to 31 times.")
        ),
    )
    supervisor_wait_hours = forms.IntegerField(
        label=gettext_lazy("Show a possible rupture to the supervisor after, in hours"),
        min_value=1,
        max_value=336,
        required=False,
        help_text=gettext_lazy(
            "Unless the therapist has acknowledged it by then. 72 leaves room for a weekend. "
            "A longer time holds for what opens from then on; a shorter one at once, "
            "but not for those you supervise."
        ),
        error_messages=dict.fromkeys(
            ("min_value", "max_value", "invalid"), gettext_lazy("Choose 1 to 336 hours.")
        ),
    )

    def __init__(self, *args: Any, practice: Practice, **kwargs: Any) -> None:
        current = {
            "name": practice.contact_name,
            "phone": practice.contact_phone,
            "email": practice.contact_email,
            "most_requests_in_30_days": practice.most_requests_in_30_days,
            "supervisor_wait_hours": practice.supervisor_wait_hours,
        }
        super().__init__(*args, **{"initial": current, **kwargs})
        therapists = Membership.objects.with_role(Role.THERAPIST).filter(practice=practice)
        self.therapists = therapists.select_related("user")

    def clean_most_requests_in_30_days(self) -> int:
        return self._or_as_it_is("most_requests_in_30_days")

    def clean_supervisor_wait_hours(self) -> int:
        return self._or_as_it_is("supervisor_wait_hours")

    def _or_as_it_is(self, name: str) -> int:
        number: int = self.cleaned_data[name] or self.initial[name]
        return number

    def clean_name(self) -> str:
        """Refuse the whole name of somebody who treats clients here."""
        name: str = self.cleaned_data["name"]
        if any(is_same_name(name, each.name) for each in self.therapists):
            raise forms.ValidationError(
                _("%(name)s is a therapist here. Name somebody who treats none of the clients.")
                % {"name": name}
            )
        return name

    def clean_email(self) -> str:
        """Refuse the address of somebody who treats clients here."""
        email: str = self.cleaned_data["email"].strip().lower()
        addresses = {mailbox(each.user.email) for each in self.therapists if each.user}
        if email and mailbox(email) in addresses:
            raise forms.ValidationError(
                _("This is a therapist’s address. Name somebody who treats none of the clients.")
            )
        return email

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        is_said = cleaned.pop("is_somebody_else", False)
        is_new = not {"name", "phone"}.isdisjoint(self.changed_data)
        if is_new and not is_said and "name" in cleaned:
            self._ask_who_it_is(cleaned["name"])
        if not (cleaned.get("phone") or cleaned.get("email") or self.errors):
            self.add_error("phone", _("Give a phone number or an email address, or both."))
        return cleaned

    def _ask_who_it_is(self, name: str) -> None:
        like = [each.name for each in self.therapists if is_like_name(name, each.name)]
        if like:
            said = _(
                "%(who)s, a therapist here, has a name like this. If they are the person you mean, "
                "name somebody else; if not, tick this."
            )
            self.add_error("is_somebody_else", said % {"who": like[0]})


class DigestForm(forms.Form):
    """Whether a member wants the weekly mail."""

    wanted = forms.BooleanField(
        label=gettext_lazy("Send me a mail on Monday mornings while something waits"),
        help_text=gettext_lazy(
            "It says that there is something to read in Rapport, and nothing else: no client, no"
            " code, no number. A week in which nothing waits has no mail."
        ),
        required=False,
    )
