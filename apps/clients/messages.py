"""What a therapist is told about reaching a client: in the app what, by mail only that."""

from collections.abc import Collection
from uuid import UUID

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership, Notice, Role
from apps.accounts.notices import Said, told_as
from apps.clients.models import Client, ContactChannel
from apps.clients.services import ONE_MAILBOX
from apps.core.outbox import NothingToSend, RenderedMessage

Reason = ContactChannel.StopReason
SAID = {
    Reason.STOPPED: gettext_lazy(
        "%(client)s stopped messages on %(day)s. Nothing more goes out by %(channel)s."
    ),
    Reason.SWITCHED: gettext_lazy("%(client)s switched away from %(channel)s on %(day)s."),
    Reason.NOT_MINE: gettext_lazy(
        "Messages to %(client)s by %(channel)s reached somebody else, who said so on %(day)s. Ask"
        " the client for another address or number."
    ),
    Reason.COMPLAINED: gettext_lazy(
        "A message to %(client)s was marked as unwanted on %(day)s. Nothing more goes out by "
        "%(channel)s until you have talked about it."
    ),
    Reason.REFUSED: gettext_lazy(
        "A text to %(client)s was refused on %(day)s: their phone takes none from us any more, "
        "since STOP was answered there. START, sent from that phone, lets them through again: talk "
        "about it."
    ),
    Reason.BOUNCED: gettext_lazy(
        "Messages to %(client)s by %(channel)s have come back since %(day)s. Ask the client whether"
        " the address or number is right, or for another one."
    ),
}


@told_as(Role.THERAPIST)
def say_channel_stopped(channel_ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """The notice for whoever treats the client; a channel that is in use again says nothing."""
    channels = ContactChannel.objects.filter(
        id__in=channel_ids,
        stopped_at__isnull=False,
        client__in=Client.objects.treated_by(member),
    )
    return {
        channel.id: Said(
            SAID[Reason(channel.stop_reason)]
            % {
                "client": f"{channel.client.initials} {channel.client.code}",
                "channel": channel.get_kind_display().lower(),
                "day": date_format(timezone.localtime(channel.stopped_at), "j M Y"),
            },
            url=reverse("change_client", args=[channel.client_id]),
            client_id=channel.client_id,
        )
        for channel in channels.select_related("client")
    }


@told_as(Role.MANAGER)
def say_one_mailbox(client_ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """The notice, by codes alone, for who manages the practice; also where they are reached at one
    mailbox no more: what went there may have been read.

    It stands under neither client in the audit trail: that somebody looked would tell the therapist
    of each whose mailbox it is. Who was told, and when they read it, the notice itself keeps.
    """
    told = Notice.objects.told_to(member).filter(kind=ONE_MAILBOX, subject_id__in=client_ids)
    others_of: dict[UUID, set[UUID]] = {}
    for client_id, mark in told.values_list("subject_id", "mark"):
        others_of.setdefault(client_id, set()).add(UUID(mark.split()[0]))
    clients = Client.objects.filter(practice=member.practice_id, erased_at=None)
    codes = dict(
        clients.filter(id__in=set(others_of).union(*others_of.values())).values_list("id", "code")
    )
    said = {}
    for client_id, ids in others_of.items():
        others = ids & codes.keys()
        if others and client_id in codes:
            said[client_id] = Said(
                _(
                    "%(code)s has or had one mailbox with %(others)s: ask their therapists whether"
                    " that is right."
                )
                % {
                    "code": codes[client_id],
                    "others": get_text_list(sorted(codes[each] for each in others), _("and")),
                },
            )
    return said


def render_channel_stopped(notice_id: UUID) -> RenderedMessage:
    """The mail that sends a therapist to their caseload: it names nobody and says not what.

    Raises:
        NothingToSend: the notice was read already, or says nothing to them any more; or the
            therapist has no address or has left.
    """
    notice = Notice.objects.select_related("practice", "member__user").get(id=notice_id)
    member = notice.member
    if notice.read_at or member.user is None or not member.is_active:
        raise NothingToSend
    if not say_channel_stopped([notice.subject_id], member):
        raise NothingToSend
    context = {"practice": notice.practice, "link": settings.BASE_URL + reverse("caseload")}
    return RenderedMessage(
        recipient=member.user.email,
        subject=render_to_string("messages/channel_stopped_subject.txt", context).strip(),
        body=render_to_string("messages/channel_stopped.txt", context),
        sender_name=notice.practice.sender,
    )
