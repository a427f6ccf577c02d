"""`manage.py replay --practice …`: what another rule would have flagged over the past."""

import json
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import Practice
from apps.core import tenancy
from apps.exchange.management.arguments import BAD_INPUT, find_member, find_practice
from apps.ruptures.detection import PARAMETERS, RULES
from apps.ruptures.models import RuleChange
from apps.ruptures.norms import local_norms
from apps.ruptures.replay import load_past, replay_past
from apps.ruptures.rule_replay import is_enough, rated_so_far
from apps.ruptures.rules import (
    Rule,
    differences,
    propose_change,
    read_parameters,
    rule_in_force,
)

COUNTED = {
    "opened": "Episodes opened",
    "marked": "  of these, marked",
    "not_a_rupture": "Opened, then recorded as 'not a rupture'",
    "settled": "Settled lower",
    "watch": "Watch",
}


class Command(BaseCommand):
    help = (
        "Replay all screened sessions of a practice under another rule beside the one in force, "
        "and print counts: no client, no therapist. Nothing changes; with --propose the figures "
        "are put up for a manager's decision on the page 'Rule changes'."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--practice", required=True, help="its name or id")
        parser.add_argument(
            "--form", choices=sorted(PARAMETERS), default="slider", help="slider unless given"
        )
        rule = parser.add_mutually_exclusive_group()
        rule.add_argument("--rule", metavar="VERSION", help="a version this practice knows")
        rule.add_argument(
            "--parameters",
            metavar="FILE.json",
            help='other figures by name, e.g. {"mean_first": 84}; the rest as shipped',
        )
        rule.add_argument(
            "--local-norms",
            action="store_true",
            help="estimate them, from at least 200 clients and 1,000 ratings",
        )
        parser.add_argument("--propose", metavar="MEMBER", help="who proposes: email or name")
        parser.add_argument("--format", choices=("table", "json"), default="table")

    def handle(self, *args: Any, **options: Any) -> None:
        practice, form = find_practice(options["practice"]), options["form"]
        with tenancy.practice(practice.id):
            now = rule_in_force(practice.id, form)
            past = load_past(practice.id, form)
            learned_from = None
            if options["local_norms"]:
                learned_from = rated_so_far(practice.id, form)
                found = local_norms(past) if is_enough(learned_from) else None
                if found is None:
                    raise _bad(
                        f"{learned_from['ratings']} ratings of {learned_from['clients']} clients "
                        "are too few for local norms: 1,000 of 200 are needed."
                    )
                proposed = Rule("local norms", found.put_into(now.parameters))
            else:
                proposed = _chosen(practice, form, now, options)
            report = replay_past(past, now.parameters, proposed.parameters, lambda percent: None)
            report["now"] = now.version
            if options["propose"]:
                change = _propose(practice, form, proposed, options["propose"])
                RuleChange.objects.filter(id=change.id).update(
                    report=report, learned_from=learned_from, replayed_at=change.proposed_at
                )
                proposed = Rule(change.version, proposed.parameters)
        if options["format"] == "json":
            self.stdout.write(json.dumps(report | {"proposed": proposed.version}))
            return
        for line in _table(report, now, proposed):
            self.stdout.write(line)


def _chosen(practice: Practice, form: str, now: Rule, options: dict[str, Any]) -> Rule:
    """The rule that the arguments name; the one in force where they name none."""
    if options["parameters"]:
        path = options["parameters"]
        try:
            figures = json.loads(Path(path).read_text(encoding="utf-8"))
            if not isinstance(figures, dict):
                raise _bad(f"{path}: expected an object of figures by name.")
            return Rule(path, read_parameters(form, figures))
        except (OSError, ValueError) as error:
            raise _bad(f"{path}: expected a readable JSON file ({error}).") from error
        except ValidationError as error:
            raise _bad(f"{path}: {' '.join(error.messages)}") from error
    if not options["rule"]:
        return now
    if options["rule"] in RULES:
        return Rule(options["rule"], RULES[options["rule"]][form])
    changes = RuleChange.objects.filter(
        practice=practice, detection_form=form, parameters__isnull=False
    )
    known = {change.version: change.parameters or {} for change in changes}
    if options["rule"] not in known:
        versions = ", ".join([*RULES, *sorted(known)])
        raise _bad(f"There is no version {options['rule']!r} here; there are: {versions}.")
    return Rule(options["rule"], read_parameters(form, known[options["rule"]]))


def _propose(practice: Practice, form: str, proposed: Rule, member: str) -> RuleChange:
    try:
        return propose_change(
            practice=practice,
            detection_form=form,
            parameters=proposed.parameters,
            by=find_member(practice, member),
        )
    except ValidationError as error:
        raise _bad(" ".join(error.messages)) from error


def _bad(message: str) -> CommandError:
    return CommandError(f"{message} Nothing was stored.", returncode=BAD_INPUT)


def _table(report: dict[str, Any], now: Rule, proposed: Rule) -> list[str]:
    rated, opened = report["rated"], report["counts"]["opened"]
    per_100 = [f"{100 * n / rated:.2f}" if rated else "–" for n in opened]
    rows = [
        ("Counted", "Now", "Proposed", "In both"),
        ("Rated sessions screened", *[f"{rated:,}"] * 3),
        ("Sessions without a rating", *[f"{report['unrated']:,}"] * 3),
        *((label, *(f"{n:,}" for n in report["counts"][name])) for name, label in COUNTED.items()),
        ("Openings per 100 rated sessions", *per_100),
    ]
    changed = [
        f"  {name}: {old} → {new}"
        for name, old, new in differences(now.parameters, proposed.parameters)
    ]
    return [
        f"{report['from']} to {report['to']}: {now.version} beside {proposed.version}",
        *(f"{a:<42}{b:>12}{c:>12}{d:>12}" for a, b, c, d in rows),
        f"New: {opened[1] - opened[2]:,}. Lost: {opened[0] - opened[2]:,}.",
        *(["What would change:", *changed] if changed else ["No figure differs."]),
        "Fewer openings can also mean missed ruptures; counts cannot tell which.",
    ]
