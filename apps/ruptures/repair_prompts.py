"""Short prompts for the steps of a repair, chosen by what may be behind it and how it showed.

They are data with sources, `prompts/repair-prompts.v2.json`; a changed wording is a new version.
The texts are English and pass through gettext: what a catalogue translates shows in that language,
`locale/repair-prompts.pot` lists them all. Where each comes from: docs/repair.md.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.utils.translation import gettext

from apps.alliance.models import Cause
from apps.ruptures.models import RepairStep, Worksheet

PATH = Path(__file__).parent / "prompts" / "repair-prompts.v2.json"
MOST_FITTING = 3
"""So many fitting prompts a step, at most: what is read in a minute before a session."""


@dataclass(frozen=True)
class Prompt:
    """One prompt of the file. Without `cause` and `kind` it speaks to every rupture.

    `say` are words that a therapist could use, '' where there are none; `source` is a key of
    `PromptFile.sources`.
    """

    step: str
    text: str
    source: str
    cause: str = ""
    kind: str = ""
    say: str = ""


@dataclass(frozen=True)
class PromptFile:
    key: str
    version: int
    sources: dict[str, str]
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True)
class StepPrompts:
    """What is asked at one step: of every rupture, and of this one. Translated."""

    general: str
    fitting: tuple[str, ...]
    say: str


@cache
def prompt_file(path: Path = PATH) -> PromptFile:
    """Read a prompt file.

    Raises:
        ValueError: a step, cause, kind or source it names is unknown, or a step has not exactly
            one prompt for every rupture.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    prompts = tuple(Prompt(**each) for each in data["prompts"])
    for each in prompts:
        if (
            each.step not in RepairStep.values
            or each.cause not in ("", *Cause.values)
            or each.kind not in ("", *Worksheet.Kind.values)
            or each.source not in data["sources"]
        ):
            raise ValueError(f"{path}: unknown step, cause, kind or source in {each}")
    general = [each.step for each in prompts if not (each.cause or each.kind)]
    if sorted(general) != sorted(RepairStep.values):
        raise ValueError(f"{path}: each step needs one prompt without cause and kind")
    return PromptFile(data["key"], data["version"], data["sources"], prompts)


def step_prompts(step: str, *, causes: Collection[str] = (), kind: str = "") -> StepPrompts:
    """The prompts of one step that fit: a boundary issue first, then the kind, then other causes.

    >>> step_prompts("notice", causes=["boundary"]).fitting
    ('Talk to your supervisor first, before you raise it with the client.',)
    """
    of_step = [each for each in prompt_file().prompts if each.step == step]
    general = next(each for each in of_step if not (each.cause or each.kind))
    fitting = [
        each for each in of_step if each.cause in causes or (each.kind and each.kind == kind)
    ]
    fitting.sort(key=lambda each: (each.cause != Cause.BOUNDARY, not each.kind))
    say = next((each.say for each in (*fitting, general) if each.say), "")
    return StepPrompts(
        general=gettext(general.text),
        fitting=tuple(gettext(each.text) for each in fitting[:MOST_FITTING]),
        say=gettext(say) if say else "",
    )
