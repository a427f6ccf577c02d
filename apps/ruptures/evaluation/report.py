"""Tables and plots of an evaluation, as docs/detection.md shows them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .study import FILTER, LIMIT, NEXT, PELT, RATINGS_ONLY

FORMS = {"form5": "five-point forms", "slider": "0–10 scales"}
BEGIN, END = "<!-- figures: written by evaluate_detection -->", "<!-- end of figures -->"
FIGURES = Path("img", "detection-figures.json")
PLOTS = {
    "recall": Path("img", "detection-recall.svg"),
    "stress": Path("img", "detection-stress.svg"),
}


INTRODUCTION = """\
Seed {seed}; {clients} simulated clients per form, {clients_of_variants} per form and
variant. Share of ruptures found (recall) at the same number of false openings per 100 rated
sessions outside of ruptures; in brackets the 95 % interval over clients."""


def tables(study: Mapping[str, Any]) -> str:
    """The figures of `study.run` as Markdown."""
    usual = {cell["form"]: cell for cell in study["cells"] if cell["variant"] == "usual"}
    parts = [
        INTRODUCTION.format(**study),
    ]
    for form, cell in usual.items():
        parts.append(f"**Usual population, {FORMS[form]}**")
        rates = [at["rate"] for at in cell["methods"][FILTER]]
        head = ["Method", *(f"at {rate:.0f}" for rate in rates), "right at 3", "delay at 3"]
        parts.append(_table(head, (_method(*method) for method in cell["methods"].items())))
    parts.append("**At their own thresholds** (the first opens at .30, the second at .20)")
    parts.append(
        _table(
            ["Form", "Population", "Rule", "false per 100", "found", "right", "delay", "by depth"],
            (_shipped(cell, rule) for cell in study["cells"] for rule in cell["shipped"]),
        )
    )
    parts.append("**Where assumptions fail**: recall at 3 false openings per 100")
    stressed = [cell for cell in study["cells"] if cell["methods"]]
    names = [name for name in stressed[0]["methods"] if name != PELT]
    best = [name for name in names if name != LIMIT and not name.startswith("switching")]
    parts.append(
        _table(
            ["Form", "Population", FILTER, NEXT, RATINGS_ONLY, "best chart", LIMIT],
            (_stressed(cell, best) for cell in stressed),
        )
    )
    return "\n\n".join(parts) + "\n"


def _method(name: str, told: Sequence[Mapping[str, float]]) -> list[str]:
    at_three = _at(told, 3)
    return [
        name,
        *(f"{_two(at['recall'])} ({_two(at['low'])}–{_two(at['high'])})" for at in told),
        _two(at_three["ppv"]),
        f"{at_three['delay']:.1f}",
    ]


def _shipped(cell: Mapping[str, Any], rule: str) -> list[str]:
    shipped = cell["shipped"][rule]
    by_depth = (
        f"{name} {_two(found / ruptures)}"
        for name, (found, ruptures) in cell["by_depth"][rule].items()
        if ruptures
    )
    said = [f"{shipped['false_per_100']:.1f}"]
    if cell["methods"]:
        said += [_two(shipped["recall"]), _two(shipped["ppv"]), f"{shipped['delay']:.1f}"]
    else:
        said += ["–"] * 3
    return [FORMS[cell["form"]], cell["variant"], rule, *said, ", ".join(by_depth) or "–"]


def _stressed(cell: Mapping[str, Any], charts: Sequence[str]) -> list[str]:
    recall = {name: _at(told, 3)["recall"] for name, told in cell["methods"].items()}
    best = max(charts, key=recall.__getitem__)
    return [
        FORMS[cell["form"]],
        cell["variant"],
        *(_two(recall[name]) for name in (FILTER, NEXT, RATINGS_ONLY)),
        f"{_two(recall[best])} ({best})",
        _two(recall[LIMIT]),
    ]


def _at(told: Sequence[Mapping[str, float]], rate: float) -> Mapping[str, float]:
    return next(at for at in told if at["rate"] == rate)


def _two(share: float) -> str:
    """.67, as shares are written here."""
    return f"{share:.2f}".removeprefix("0")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write(study: Mapping[str, Any], docs: Path) -> None:
    """Put the tables into docs/detection.md, and the figures and plots beside it."""
    page = docs / "detection.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n\n{tables(study)}\n{END}{after}", encoding="utf-8")
    (docs / FIGURES).write_text(json.dumps(study, ensure_ascii=False) + "\n", "utf-8")
    draw(study, docs)


def draw(study: Mapping[str, Any], docs: Path) -> None:
    """The plots of docs/detection.md. Needs matplotlib, which only development installs."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    # The same figures give the same file.
    mpl.rcParams.update({"svg.hashsalt": "rapport", "svg.fonttype": "none", "font.size": 9})
    mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
    usual = [cell for cell in study["cells"] if cell["variant"] == "usual"]
    figure, axes = plt.subplots(1, len(usual), figsize=(9, 4), sharey=True, layout="constrained")
    for axis, cell in zip(axes, usual, strict=True):
        for name, told in cell["methods"].items():
            strong = name in (FILTER, NEXT, LIMIT)
            axis.plot(
                [at["rate"] for at in told],
                [at["recall"] for at in told],
                marker="o",
                markersize=3,
                linewidth=2.2 if strong else 1,
                linestyle="--" if name in (LIMIT, PELT) else "-",
                color="black" if name == LIMIT else None,
                label=name,
            )
            if name == FILTER:
                low, high = ([at[end] for at in told] for end in ("low", "high"))
                axis.fill_between([at["rate"] for at in told], low, high, alpha=0.15)
        axis.set_title(FORMS[cell["form"]])
        axis.set_xlabel("false openings per 100 rated sessions")
        axis.set_xticks([at["rate"] for at in cell["methods"][FILTER]])
        axis.set_ylim(0, 1)
    axes[0].set_ylabel("share of ruptures found")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=7)
    figure.savefig(docs / PLOTS["recall"], facecolor="white", metadata={"Date": None})
    plt.close(figure)

    figure, axis = plt.subplots(figsize=(9, 4.5), layout="constrained")
    stressed = [cell for cell in study["cells"] if cell["methods"]]
    variants = list(dict.fromkeys(cell["variant"] for cell in stressed))
    for number, form in enumerate(FORMS):
        for name, marker in ((LIMIT, "|"), (NEXT, "^"), (FILTER, "o"), (RATINGS_ONLY, "x")):
            cells = [cell for cell in stressed if cell["form"] == form]
            axis.plot(
                [_at(cell["methods"][name], 3)["recall"] for cell in cells],
                [variants.index(cell["variant"]) + 0.2 * (number - 0.5) for cell in cells],
                marker,
                color=f"C{number}",
                label=f"{name}, {FORMS[form]}",
            )
    axis.set_yticks(range(len(variants)), variants)
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.set_xlabel("share of ruptures found at 3 false openings per 100 rated sessions")
    figure.legend(loc="outside right upper", frameon=False, fontsize=7)
    figure.savefig(docs / PLOTS["stress"], facecolor="white", metadata={"Date": None})
    plt.close(figure)
