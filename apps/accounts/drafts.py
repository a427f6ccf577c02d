"""What somebody was sending when their session had ended: kept, and given back to them alone.

It lies sealed in the session of the browser that sent it, for an hour, until it is sent again.
Passwords and files are left out.
"""

import json
from dataclasses import dataclass

from django.http import HttpRequest

from apps.core import sealing
from apps.core.typed import is_written, typed_fields

KEY = "draft"
PURPOSE = "draft"
KEPT_FOR_S = 60 * 60


@dataclass(frozen=True)
class Draft:
    """A form as it was sent: in which practice, where to, and every field with its values."""

    practice_id: str
    path: str
    fields: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """What was written by hand, for the person to recognise."""
        return tuple(
            value for name, values in self.fields for value in values if is_written(name, value)
        )


def keep(request: HttpRequest, *, user_id: str, practice_id: str) -> None:
    """Keep what the request sends, for the person with `user_id`, in the practice they worked in.

    `practice_id` is '' where the session named none.
    """
    about = {"user": user_id, "practice": practice_id, "path": request.get_full_path()}
    text = json.dumps(about | {"fields": typed_fields(request)})
    request.session[KEY] = {"path": request.path, "sealed": sealing.seal(text, purpose=PURPOSE)}


def kept_for(request: HttpRequest) -> Draft | None:
    """The draft that the person signed in now may have back; somebody else's is dropped."""
    kept = request.session.get(KEY)
    if not kept:
        return None
    try:
        text = sealing.unseal(kept["sealed"], purpose=PURPOSE, max_age_s=KEPT_FOR_S)
    except sealing.Unreadable:
        drop(request)
        return None
    draft = json.loads(text)
    if draft["user"] != str(request.user.pk):
        drop(request)
        return None
    return Draft(
        practice_id=draft.get("practice", ""),
        path=draft["path"],
        fields=tuple((name, tuple(values)) for name, values in draft["fields"]),
    )


def drop(request: HttpRequest) -> None:
    request.session.pop(KEY, None)


def drop_if_sent_again(request: HttpRequest) -> None:
    """Forget the draft once it goes where it was going."""
    kept = request.session.get(KEY)
    if kept and request.method == "POST" and request.path == kept["path"]:
        drop(request)
