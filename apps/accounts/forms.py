"""Forms about a practice and its people."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership, Practice, Role


class IndependentContactForm(forms.Form):
    """Somebody clients can turn to who treats none of them; a name and one way to reach them."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=120,
        error_messages={"required": gettext_lazy("Name the person clients can turn to.")},
    )
    phone = forms.CharField(label=gettext_lazy("Phone"), max_length=40, required=False)
    email = forms.EmailField(
        label=gettext_lazy("Email"),
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

    def __init__(self, *args: Any, practice: Practice, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.practice = practice
        self.therapists = Membership.objects.with_role(Role.THERAPIST).filter(practice=practice)

    def clean_most_requests_in_30_days(self) -> int:
        """Left blank it stays as it is."""
        most: int | None = self.cleaned_data["most_requests_in_30_days"]
        return most or self.practice.most_requests_in_30_days

    def clean_name(self) -> str:
        """Refuse the name of somebody who treats clients here."""
        name: str = self.cleaned_data["name"]
        if self.therapists.filter(name__iexact=name).exists():
            raise forms.ValidationError(
                _("%(name)s is a therapist here. Name somebody who treats none of the clients.")
                % {"name": name}
            )
        return name

    def clean_email(self) -> str:
        """Refuse the address of somebody who treats clients here."""
        email: str = self.cleaned_data["email"].strip().lower()
        if email and self.therapists.filter(user__email=email).exists():
            raise forms.ValidationError(
                _("This is a therapist’s address. Name somebody who treats none of the clients.")
            )
        return email

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not (cleaned.get("phone") or cleaned.get("email") or self.errors):
            self.add_error("phone", _("Give a phone number or an email address, or both."))
        return cleaned
