"""Components of diary, repair, delivery and first steps for the styleguide, with invented data."""

from datetime import date

from apps.dashboard.message_bars import Day, bars
from apps.dashboard.selectors.diary import Slot
from apps.dashboard.selectors.first_steps import FirstStep
from apps.dashboard.selectors.repair_steps import Step
from apps.feedback.languages import menu

MONDAY = date(2026, 11, 16)


def work_parts() -> dict[str, object]:
    """Inputs of templates/dashboard/styleguide_work.html."""
    return {
        "slots": [
            _slot("", "Rated 90"),
            _slot("log", "To be logged", quick_log_url="#", has_begun=True),
            _slot("flag", "Session 18", quick_log_url="#", move_url="#"),
            _slot("mend", "Session 12", move_url="#"),
            _slot("gone", "No-show"),
        ],
        "track": [
            Step("", "", "done", short="Notice", icon="eye", day="19 Nov"),
            Step("", "", "now", short="Open", icon="pencil", day="26 Nov"),
            Step("", "", "", short="Discuss", icon="people"),
        ],
        "points": ("Bond was rated lowest of the three: Bond 55, Goals 80, Tasks 75.",),
        "sent": bars(
            [Day("16 Nov", "16 Nov", 6, 2, 1), Day("17", "17 Nov", 3, 1, 0)], is_paused=True
        ),
        "typed": ["She wished for a slower start."],
        "first_steps": (
            FirstStep("Invite the people", "By mail.", True, "", "", ""),
            FirstStep("Talk", "You begin.", False, "Record it", "pencil", "#", is_now=True),
            FirstStep("Log a session", "A few taps.", False, "Log session", "plus-lg", "#"),
            FirstStep("Look back", "", False, "", "", "", waits="Opens after a session"),
        ),
        **menu("de"),
    }


def _slot(
    look: str, detail: str, *, quick_log_url: str = "", move_url: str = "", has_begun: bool = False
) -> Slot:
    return Slot(
        url="#",
        initials="K. M.",
        code="RA-0142",
        clock="10:00",
        detail=detail,
        look=look,
        day=MONDAY,
        hour=10,
        quick_log_url=quick_log_url,
        move_url=move_url,
        has_begun=has_begun,
    )
