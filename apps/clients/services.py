"""Writes about clients: adding one, and how they may be asked."""

import re
from datetime import date

from django.db import transaction

from apps.accounts.models import Membership, Practice, User
from apps.clients.models import Client, ContactChannel, Treatment
from apps.core import audit


def next_code(practice: Practice) -> str:
    """The next free client code of a practice: two letters of its name and a running number.

    Codes of other shapes (from an import) are passed over. Only a proposal: the unique constraint
    decides.
    """
    prefix = "".join(re.findall(r"[A-Z]", practice.sender_name.upper()))[:2].ljust(2, "X")
    numbers = [
        int(code[3:])
        for code in Client.objects.filter(
            practice=practice, code__startswith=f"{prefix}-"
        ).values_list("code", flat=True)
        if code[3:].isdigit()
    ]
    return f"{prefix}-{max(numbers, default=100) + 1:04}"


@transaction.atomic
def add_client(
    *,
    therapist: Membership,
    code: str,
    initials: str,
    country: str,
    time_zone: str,
    language: str,
    starts_on: date,
    approach: str = "",
    discussed_on: date | None = None,
    consent: str = "",
    email: str = "",
    email_safe: bool = False,
    by: Membership | None,
) -> Treatment:
    """Record a client and the start of their treatment with `therapist`.

    Nothing is sent before `discussed_on`, a consent and a safe channel are recorded.
    """
    client = Client.objects.create(
        practice_id=therapist.practice_id,
        code=code,
        initials=initials,
        country=country,
        time_zone=time_zone,
        language=language,
        discussed_on=discussed_on,
        consent=consent,
    )
    if email:
        ContactChannel.objects.create(
            practice_id=client.practice_id,
            client=client,
            kind=ContactChannel.Kind.EMAIL,
            address=email,
            safe_to_contact=email_safe,
        )
    treatment = Treatment.objects.create(
        practice_id=client.practice_id,
        client=client,
        therapist=therapist,
        approach=approach,
        starts_on=starts_on,
    )
    audit.record("add client", client, client_id=client.id, by=by)
    return treatment


@transaction.atomic
def hand_over_caseload(
    *,
    treatments: list[Treatment],
    to: Membership,
    on: date,
    by: Membership,
) -> None:
    """End treatments on the day `on` and start new ones of the same clients with `to`.

    The therapist before loses access with the commit; the history stays with the treatment that
    ended. A client whom `to` treats already gets no second treatment.
    """
    treatments = list(
        Treatment.objects.current(on=on)
        .select_for_update()
        .filter(id__in=[each.id for each in treatments])
    )
    already = set(
        Treatment.objects.current(on=on)
        .filter(therapist=to, client__in=[each.client_id for each in treatments])
        .values_list("client_id", flat=True)
    )
    for treatment in treatments:
        treatment.starts_on = min(on, treatment.starts_on)
        treatment.ends_on = on
        treatment.save(update_fields=["starts_on", "ends_on"])
        if treatment.client_id not in already:
            Treatment.objects.create(
                practice_id=treatment.practice_id,
                client_id=treatment.client_id,
                therapist=to,
                approach=treatment.approach,
                starts_on=on,
            )
        audit.record("hand over client", treatment, client_id=treatment.client_id, by=by)


def is_staff_address(email: str, *, practice: Practice) -> bool:
    """Whether mail to `email` reaches a member of the practice: case and '+…' make no difference.

    Ratings that reach a therapist's own mailbox are not a client's.
    """
    staff = User.objects.filter(memberships__practice=practice).values_list("email", flat=True)
    return _mailbox(email) in {_mailbox(address) for address in staff}


def _mailbox(email: str) -> str:
    name, _, host = email.strip().casefold().rpartition("@")
    return f"{name.partition('+')[0]}@{host}"
