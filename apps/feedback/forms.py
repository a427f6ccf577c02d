"""What a client answers about one session."""

import re
from collections.abc import Iterator
from typing import Any, cast

from django import forms
from django.core.validators import MaxLengthValidator
from django.utils.html import format_html
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from apps.alliance.models import CAUSE_IN_PLAIN_WORDS, Cause, Questionnaire
from apps.alliance.wording import wording_of
from apps.clients.models import ContactChannel
from apps.core.widgets import DetailedCheckboxSelectMultiple, DetailedRadioSelect, OptionDetail
from apps.feedback.choices import STOP
from apps.therapy_sessions.models import Resolved, Tension

COMMENT_LIMIT = 5000
NOT_A_CHOICE = gettext_lazy("This answer did not arrive as one of the choices. Choose it again.")


class PlainTextField(forms.CharField):
    """Text as typed: line ends as one character, and without NUL, which nobody types."""

    def to_python(self, value: object) -> str:
        text = super().to_python(value) or ""
        return re.sub(r"\r\n?", "\n", text).replace("\0", "").strip()


def choice_of(choices: Any, *, label: Any, help_text: Any = "") -> forms.TypedChoiceField:
    """Radios for a whole number; untouched is None, and nothing is preselected."""
    return forms.TypedChoiceField(
        label=label,
        help_text=help_text,
        choices=choices,
        coerce=int,
        empty_value=None,
        required=False,
        widget=forms.RadioSelect,
        error_messages={"invalid_choice": NOT_A_CHOICE},
    )


class FeedbackForm(forms.Form):
    """Ratings of one questionnaire, tension, causes in plain words and a comment; all optional.

    `unsaid` is the therapist whose session it is about, where the page that was sent did not say
    so: it is not valid until one does.
    """

    NOTHING_ANSWERED = gettext_lazy(
        "Nothing is answered yet. Answer whatever you like, even one question or a few words, and"
        " send it again."
    )
    NOT_REACHED = gettext_lazy(
        "Your answers and your text are kept on this page. They have not reached us."
    )

    tension = choice_of(
        Tension.choices,
        label=gettext_lazy(
            "Was there any tension, misunderstanding or disagreement between you and your"
            " therapist?"
        ),
    )
    tension_resolved = choice_of(
        Resolved.choices, label=gettext_lazy("How far was it sorted out by the end?")
    )
    causes = forms.MultipleChoiceField(
        label=gettext_lazy("Did any of these play a part?"),
        choices=[(cause.value, words) for cause, words in CAUSE_IN_PLAIN_WORDS.items()],
        required=False,
        widget=DetailedCheckboxSelectMultiple,
        error_messages={"invalid_choice": NOT_A_CHOICE},
    )
    comment = PlainTextField(
        label=gettext_lazy("Anything you want to add?"),
        help_text=gettext_lazy("While your therapy lasts, only your therapist reads this."),
        required=False,
        # No maxlength in the page: browsers cut a longer text off without a word.
        validators=[
            MaxLengthValidator(
                COMMENT_LIMIT,
                gettext_lazy(
                    "Your text has %(show_value)d characters; %(limit_value)d fit. All of it is"
                    " still here: shorten it, then send your answers again."
                ),
            )
        ],
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(
        self,
        *args: Any,
        questionnaire: Questionnaire,
        contact: dict[str, str] | None,
        unsaid: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.unsaid = unsaid
        self.wording = wording_of(questionnaire, get_language() or "")
        self.item_fields = {f"item_{item['id']}": item for item in questionnaire.items}
        points = [(n, str(n)) for n in range(questionnaire.minimum, questionnaire.maximum + 1)]
        for name, item in self.item_fields.items():
            self.fields[name] = choice_of(points, label=self.wording.items[item["id"]])
        self.fields["causes"].widget.details = {Cause.BOUNDARY: OptionDetail(help=_tell(contact))}

    @property
    def items(self) -> Iterator[forms.BoundField]:
        return (self[name] for name in self.item_fields)

    def clean(self) -> dict[str, Any]:
        answered = self.cleaned_data
        if not answered.get("tension"):
            answered["tension_resolved"] = None
        ticked = answered.get("causes", [])
        answered["causes"] = [cause for cause in Cause.values if cause in ticked]
        if not self.errors and all(value in (None, "", []) for value in answered.values()):
            raise forms.ValidationError(self.NOTHING_ANSWERED)
        if not self.errors and self.unsaid:
            about = _("This is about your session with %(therapist)s.")
            raise forms.ValidationError([self.NOT_REACHED, about % {"therapist": self.unsaid}])
        return answered

    def submission(self) -> dict[str, Any]:
        """The arguments of `submit_response`, apart from the request."""
        answers = {
            item["id"]: self.cleaned_data[name]
            for name, item in self.item_fields.items()
            if self.cleaned_data[name] is not None
        }
        also = ("tension", "tension_resolved", "causes", "comment")
        return {"answers": answers} | {name: self.cleaned_data[name] for name in also}


def _tell(contact: dict[str, str] | None) -> str:
    """Who reads of a crossed line, and whom else to tell, beside that choice."""
    if contact is None:
        return _("Who reads this: your therapist.")
    if contact["phone"]:
        way = format_html(
            '<a href="{}"><bdi dir="ltr">{}</bdi></a>', contact["phone_href"], contact["phone"]
        )
    else:
        way = format_html('<a href="mailto:{0}"><bdi dir="ltr">{0}</bdi></a>', contact["email"])
    return format_html(
        _("Your therapist will see this. To tell someone else: {}, {}."), contact["name"], way
    )


class StopForm(forms.Form):
    """What a client wants to become of the messages; only recorded ways are offered."""

    how = forms.ChoiceField(
        label=gettext_lazy("What would you like?"),
        widget=DetailedRadioSelect,
        error_messages=dict.fromkeys(
            ("required", "invalid_choice"), gettext_lazy("Choose one of these.")
        ),
    )

    def __init__(self, *args: Any, channels: list[ContactChannel], way: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_stopped = not any(channel.stopped_at is None for channel in channels)
        field = cast(forms.ChoiceField, self.fields["how"])
        field.choices = [
            (STOP, _("Stop all messages")),
            *((each.kind, _label(each, way=way)) for each in channels),
        ]
        field.widget.details = {
            STOP: OptionDetail(
                _("No more forms or reminders. It is passed on only that you stopped.")
            )
        } | {each.kind: OptionDetail(_on_record(each, way=way)) for each in channels}


def _label(channel: ContactChannel, *, way: str) -> str:
    if channel.kind == ContactChannel.Kind.EMAIL:
        return _("Keep email") if _in_use(channel, way) else _("Switch to email")
    return _("Keep text messages") if _in_use(channel, way) else _("Switch to text messages")


def _on_record(channel: ContactChannel, *, way: str) -> str:
    record = (
        _("To the address on record.")
        if channel.kind == ContactChannel.Kind.EMAIL
        else _("To the number on record.")
    )
    now = _("You use this now.")
    return f"{record} {now}" if _in_use(channel, way) else record


def _in_use(channel: ContactChannel, way: str) -> bool:
    return channel.stopped_at is None and channel.kind == way
