"""Writes about how a person signs in, and how pages look to them."""

from uuid import UUID, uuid4

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts import links
from apps.accounts.models import AccountLink, Membership, User
from apps.accounts.selectors import memberships_of
from apps.core import audit, outbox, tenancy


class NoSecondStep(Exception):
    """There is nothing to take away."""


def request_password_reset(*, email: str) -> None:
    """Have a worker mail a link for a new password, if the address is somebody's who works here.

    The same is done for every address, so that the time it takes tells nothing: one look-up, and
    one task, which carries an id that is nobody's where the address is nobody's.
    """
    from apps.accounts.tasks import mail_password_reset

    nobody = uuid4()
    users = User.objects.filter(email=email.strip().lower(), is_active=True)
    user_id = users.values_list("id", flat=True).first() or nobody
    mail_password_reset.apply_async(args=(str(user_id),), retry=False)


@transaction.atomic
def mail_password_reset(*, user_id: UUID) -> None:
    """Mail somebody a link for a new password, as long as they work somewhere.

    The message goes out from the first practice, by name, that the person works in.
    """
    member = next(iter(memberships_of(user_id)), None)
    if member is None:
        return
    with tenancy.practice(member.practice_id):
        links.mail(member, AccountLink.Purpose.PASSWORD_RESET, settings.PASSWORD_RESET_VALID_FOR)
        audit.record("ask for a new password", member, by=None)


@transaction.atomic
def reset_password(*, link_id: UUID, password: str) -> None:
    """Set a new password and end every session. The second step stays as it is.

    Raises:
        LinkClosed: nothing was changed.
    """
    member, user = links.use(link_id, AccountLink.Purpose.PASSWORD_RESET)
    user.set_password(password)
    user.save(update_fields=["password"])
    end_sessions(user=user)
    audit.record("set a new password", member, by=member)


@transaction.atomic
def set_theme(*, user: User, theme: User.Theme) -> None:
    """Remember how the person wants pages to look."""
    user.theme = theme
    user.save(update_fields=["theme"])


@transaction.atomic
def end_sessions(*, user: User) -> None:
    """End every session of the person at its next request."""
    User.objects.filter(id=user.id).update(sessions_ended=F("sessions_ended") + 1)
    user.refresh_from_db(fields=["sessions_ended"])


@transaction.atomic
def note_sign_in_change(*, user: User, by: Membership | None) -> None:
    """Note that a person changed their password or second step, and end their sessions."""
    end_sessions(user=user)
    if by:
        audit.record("change own sign-in", by, by=by)


@transaction.atomic
def reset_second_step(*, member: Membership, by: Membership | None) -> None:
    """Take away app, keys and recovery codes of somebody who has lost all of them, and tell them.

    They sign in with their password alone and can reach nothing before they set up a new one.

    Raises:
        NoSecondStep: nothing was changed.
    """
    if member.user is None:
        raise NoSecondStep
    taken, _ = Authenticator.objects.filter(user=member.user).delete()
    if not taken:
        raise NoSecondStep
    end_sessions(user=member.user)
    entry = audit.record("reset second step", member, by=by)
    outbox.enqueue(
        kind="second_step_reset",
        subject_id=UUID(int=entry.id),  # once for each time it is taken away
        practice_id=member.practice_id,
        not_before=timezone.now(),
    )


@transaction.atomic
def note_day(*, member: Membership) -> None:
    """Note that the member began to work in this practice today."""
    with tenancy.practice(member.practice_id):
        member.last_sign_in_on = timezone.localdate()
        member.save(update_fields=["last_sign_in_on"])
