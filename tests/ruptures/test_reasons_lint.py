"""A thousand simulated steps, put into words for therapist and supervisor, and every word read."""

import re
from collections.abc import Iterator
from random import Random

import pytest

from apps.ruptures import reasons as module
from apps.ruptures.detection import FORM5, SLIDER, Level, Screening, State, Step, start
from apps.ruptures.detection import screen as screen_step
from apps.ruptures.detection.simulator import STORIES, simulate_course, steps
from apps.ruptures.reasons import Reasons, reasons

FORBIDDEN = re.compile(
    r"%|‰|\d\.\d|\b(odds|probab\w*|likel\w*|chance|risk\w*|scores?|detect\w*|fail\w*|ok|safe\w*"
    r"|complian\w*|patients?|users?|norms?|severe|critical\w*|posterior|nats?)\b",
    re.IGNORECASE,
)
SIGNALS = ("score", "client", "therapist", "no_show", "missing")


def thousand() -> Iterator[tuple[State, Step, Screening]]:
    """State before, step and screening of a thousand steps of every story and both forms."""
    random, made = Random(20261125), 0
    while True:
        for form in (FORM5, SLIDER):
            for story in STORIES.values():
                state = start(form)
                for step in steps(simulate_course(random, story=story, form=form, sessions=18)):
                    before = state
                    state, shown = screen_step(before, step, form)
                    yield before, step, shown
                    made += 1
                    if made == 1000:
                        return


def put(before: State, step: Step, shown: Screening, name: str = "") -> Reasons:
    return reasons(
        step,
        shown,
        ratings_before=before.rated,
        asked_before=before.asked,
        missed_before=before.missed,
        therapist_name=name,
    )


THOUSAND = list(thousand())
TOLD = pytest.mark.parametrize("name", ["", "Hana"], ids=["therapist", "supervisor"])


def said(why: Reasons) -> tuple[str, ...]:
    return (*why.speaks_for, *why.speaks_against, *why.cannot_tell)


@TOLD
def test_no_word_of_a_thousand_is_forbidden(name):
    assert len(THOUSAND) == 1000
    for case in THOUSAND:
        for sentence in said(put(*case, name)):
            assert not FORBIDDEN.search(sentence), sentence
            assert re.fullmatch(r"[A-Z0-9].*[^ ]\.", sentence), sentence


@TOLD
def test_each_strong_signal_is_one_sentence_in_the_order_of_its_strength(name):
    for before, step, shown in THOUSAND:
        why = put(before, step, shown, name)
        nats = [getattr(shown.evidence, signal) for signal in SIGNALS]
        strong = sorted((n for n in nats if n >= 0.3), reverse=True)
        against = sorted(n for n in nats if n <= -0.1)
        assert len(why.speaks_against) == len(against)
        if strong:
            assert len(why.speaks_for) == len(strong)
        else:
            assert len(why.speaks_for) == (shown.level > Level.NONE)
        assert len(set(said(why))) == len(said(why))


def test_the_rating_stands_with_its_numbers_wherever_it_is_a_reason():
    ratings = [
        sentence
        for case in THOUSAND
        for sentence in said(put(*case))
        if sentence.startswith("Rated ")
    ]
    assert len(ratings) > 300
    for sentence in ratings:
        assert re.search(r"^Rated \d+\D.*(\d+–\d+|still forming).* \d+ earlier rating", sentence)


def test_to_a_supervisor_nobody_is_addressed():
    for case in THOUSAND:
        assert not re.search(r"\byou\b", " ".join(said(put(*case, "Hana"))), re.IGNORECASE)


def test_what_it_cannot_tell_is_said_of_every_step():
    for case in THOUSAND:
        assert put(*case).cannot_tell[-1].startswith("Whether it was a rupture")


@TOLD
def test_every_sentence_can_be_translated(monkeypatch, name):
    """With a language that puts everything into brackets, nothing stays outside of them."""
    monkeypatch.setattr(module, "_", lambda text: f"[{text}]")
    monkeypatch.setattr(module, "ngettext", lambda one, many, n: f"[{one if n == 1 else many}]")
    for case in THOUSAND:
        for sentence in said(put(*case, name)):
            assert sentence.startswith("["), sentence
            assert sentence.endswith("]"), sentence
