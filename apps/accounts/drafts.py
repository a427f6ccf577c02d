"""What somebody was sending when their session had ended, or before a proof of who they are: kept,
and given back to them alone.

Each form that is kept has an id, which nobody but its sender is told: whoever shares the session
reads none of them, and puts nothing in the place of one. They lie sealed in the session of the
browser that sent them, for an hour, until they are sent again. Passwords and files are left out.
All of a session together are as large as a page of it may read and write at each click; what is
larger alone is given back at once.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from apps.core import sealing
from apps.core.typed import is_written, typed_fields

KEY = "draft-"
PURPOSE = "draft"
KEPT_FOR_S = 60 * 60
# As many windows as may have waited, and sealed no longer than this; the oldest makes room.
MOST = 8
LONGEST = 1024 * 1024
# Names the draft in the address of its page, and in the form that sends it again.
FIELD = "draft"


@dataclass(frozen=True)
class Draft:
    """A form as it was sent: in which practice, where to, and every field with its values.

    `ended` where its session had ended, so that nobody shared it.
    """

    id: str
    practice_id: str
    path: str
    fields: tuple[tuple[str, tuple[str, ...]], ...]
    ended: bool

    @property
    def texts(self) -> tuple[str, ...]:
        """What was written by hand, for the person to recognise."""
        return tuple(
            value for name, values in self.fields for value in values if is_written(name, value)
        )

    @property
    def choices(self) -> tuple[str, ...]:
        """What was chosen or pressed, in words, and of whom, by code: of a form without texts it
        says what it does."""
        return tuple(
            value.replace("_", " ") if name != "code" else value
            for name, values in self.fields
            for value in values
            if name == "code" or re.fullmatch("[a-z_]{2,}", value)
        )

    @property
    def url(self) -> str:
        """Its page, which gives it back."""
        return f"{reverse('kept_draft')}?{urlencode({FIELD: self.id})}"


class TooLong(Exception):
    """The form is too long to be kept: the answer gives it back, or says how it is given back."""


def keep(request: HttpRequest, *, user_id: str, practice_id: str, ended: bool) -> Draft:
    """Keep what the request sends, for the person with `user_id`, in the practice they worked in.

    `practice_id` is '' where the session named none. Drops what is too old to be given back.

    Raises:
        TooLong: nothing is kept, and what was kept stays.
    """
    fields = tuple((name, tuple(values)) for name, values in typed_fields(request) if name != FIELD)
    draft = Draft(str(uuid4()), practice_id, request.get_full_path(), fields, ended)
    about = {"user": user_id, "practice": practice_id, "path": draft.path, "ended": ended}
    sealed = sealing.seal(json.dumps(about | {"fields": fields}), purpose=PURPOSE)
    if len(sealed) > LONGEST:
        raise TooLong
    for id_, each in kept_in(request.session).items():
        if not _text_of(each):
            drop(request, id_)
    request.session[KEY + draft.id] = sealed
    kept = kept_in(request.session)
    while len(kept) > MOST or sum(map(len, kept.values())) > LONGEST:
        oldest = next(iter(kept))
        del kept[oldest]
        drop(request, oldest)
    return draft


def kept_for(request: HttpRequest) -> list[Draft]:
    """The drafts that the person signed in now may have back; somebody else's are dropped."""
    kept = list(_readable(request))
    for id_ in kept_in(request.session).keys() - {draft.id for draft in kept}:
        drop(request, id_)
    return kept


def kept_in(session: SessionBase) -> dict[str, str]:
    """All that the session keeps, sealed, by id, the oldest first. Each has a key of its own, so
    that of two windows neither drives out what the other keeps at that moment."""
    return {key.removeprefix(KEY): sealed for key, sealed in session.items() if key.startswith(KEY)}


def _readable(request: HttpRequest) -> Iterator[Draft]:
    for id_, sealed in kept_in(request.session).items():
        about = json.loads(_text_of(sealed) or "{}")
        if about.get("user") == str(request.user.pk):
            fields = tuple((name, tuple(values)) for name, values in about["fields"])
            yield Draft(id_, about["practice"], about["path"], fields, about["ended"])


def _text_of(sealed: str) -> str:
    """'' once it is too old."""
    try:
        return sealing.unseal(sealed, purpose=PURPOSE, max_age_s=KEPT_FOR_S)
    except sealing.Unreadable:
        return ""


def drop(request: HttpRequest, id_: str) -> None:
    request.session.pop(KEY + id_, None)


def drop_if_sent_again(request: HttpRequest) -> None:
    """Forget the draft that the request sends again."""
    if request.method == "POST" and kept_in(request.session):
        drop(request, dict(typed_fields(request)).get(FIELD, [""])[-1])
