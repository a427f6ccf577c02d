"""The six steps of a repair as pages show them: how far they are, and what is asked at each."""

from dataclasses import dataclass
from datetime import date

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from apps.dashboard.selectors import words
from apps.ruptures.models import RepairStep, RuptureEpisode
from apps.ruptures.repair import Sheet
from apps.ruptures.repair_prompts import step_prompts

# On the track from break to repair: a word and a mark for each.
TRACK: dict[RepairStep, tuple[str | Promise, str]] = {
    RepairStep.NOTICE: (gettext_lazy("Noticed"), "break"),
    RepairStep.OPEN: (gettext_lazy("Opened"), "chat"),
    RepairStep.DISCUSS: (gettext_lazy("What led to it"), "search"),
    RepairStep.EXPLORE: (gettext_lazy("Feelings"), "heart"),
    RepairStep.AGREE: (gettext_lazy("Way forward"), "card-checklist"),
    RepairStep.FOLLOW_UP: (gettext_lazy("Follow-up"), "calendar-check"),
}


@dataclass(frozen=True)
class Step:
    """One step. `state`: 'done', 'now' (the first that is not done) or ''.

    `prompt` is asked at every rupture, `fitting` at this one; `say` are words to open with; `short`
    and `icon` stand on the track, `day` is when it was done or is planned.
    """

    title: str
    prompt: str
    state: str
    fitting: tuple[str, ...] = ()
    say: str = ""
    short: str = ""
    icon: str = ""
    day: str = ""


def repair_steps(episode: RuptureEpisode, sheet: Sheet, today: date) -> tuple[Step, ...]:
    """The steps of an episode; a step counts as done from its day on, or with a note alone.

    The follow-up needs its day: a note about it is a plan.
    """
    steps: list[Step] = []
    for step in RepairStep:
        entry = sheet.step(step)
        done = entry.done_on <= today if entry.done_on else bool(entry.note)
        if step == RepairStep.NOTICE:
            done = done or bool(episode.seen_at)
        elif step == RepairStep.FOLLOW_UP:
            done = done and bool(entry.done_on)
        is_first = not done and all(each.state == "done" for each in steps)
        prompts = step_prompts(step, causes=sheet.causes, kind=sheet.kind)
        short, icon = TRACK[step]
        steps.append(
            Step(
                title=str(step.label),
                prompt=prompts.general,
                state="done" if done else "now" if is_first else "",
                fitting=prompts.fitting,
                say=prompts.say,
                short=str(short),
                icon=icon,
                day=words.day(entry.done_on, today) if entry.done_on else "",
            )
        )
    return tuple(steps)
