"""The tables of docs/labels.md: votes, wrong labels, what to label next."""

from __future__ import annotations

from typing import Any

from scripts.measured import hardware, results
from scripts.speed_tables import every_figure

Rows = dict[tuple[str, str], dict[str, Any]]


def votes() -> str:
    """Simulated crowds: accuracy of each way to aggregate."""
    measured = results("votes")
    found = _by_case(measured)
    head = "| simulated crowd | majority | one-coin | crowd-kit's full Dawid-Skene | ours | ours, if the posterior is ≥ .9 |"
    lines = [head, "|---|---|---|---|---|---|"]
    for case in dict.fromkeys(case for case, metric in found if metric == "majority"):
        theirs = found.get((case, "crowd-kit full"))
        cells = [_points(found[case, "majority"]), _points(found[case, "one-coin"])]
        cells.append(_points(theirs) if theirs else "–")
        cells.append(f"**{_points(found[case, 'ours'])}**")
        sure, share = (
            found[case, "ours, posterior from .9"],
            found[case, "share with posterior from .9"],
        )
        cells.append(f"{_points(sure)} for {share['median']:.0f} % of images")
        lines.append(f"| {case.removeprefix('row 18: ')} | {' | '.join(cells)} |")
    large = next(case for case, metric in found if metric == "extra memory")
    cpu, memory = found[large, "CPU"], found[large, "extra memory"]
    note = (
        f"{large.removeprefix('row 18: ')}: {cpu['median']:.1f} CPU s, {memory['median']:.0f} MB. "
    )
    n = max(row["n"] for row in found.values())
    return _page(
        lines, f"Correct labels, in per cent, median of {n} draws. {note}{hardware(measured)}"
    )


def cifar10_votes() -> str:
    """Every figure of benchmarks/curation/cifar10_votes.py."""
    return every_figure("cifar10_votes")


def digits() -> str:
    """Planted flips: recall and precision of the automatic tier, and the ranking."""
    measured = results("label_issues")
    found = _by_case(measured)
    head = "| flipped digits | left out: recall | precision | ranking: average precision | cleanlab: recall | precision |"
    lines = [head + " ranking |", "|---|---|---|---|---|---|---|"]
    theirs = "cleanlab, logistic regression, "
    for case in dict.fromkeys(case for case, metric in found if metric == theirs + "recall"):
        keys = [
            (f"row 1: {case}", "automatic tier, recall"),
            (f"row 1: {case}", "automatic tier, precision"),
        ]
        keys += [(f"row 2: {case}", "ranking, average precision"), (case, theirs + "recall")]
        keys += [(case, theirs + "precision"), (case, theirs + "average precision")]
        lines.append(f"| {case} | {' | '.join(_share(found[key]) for key in keys)} |")
    clean = found["row 4: clean digits", "flagged"]["median"]
    n = found["row 1: 5% pair flips", "automatic tier, recall"]["n"]
    note = f"Median of {n} seeds. Without flips, {clean:.2%} of the digits are doubted. "
    return _page(lines, note + hardware(measured, "cleanlab", "scikit-learn"))


def cifar10_labels() -> str:
    """People's wrong labels on CIFAR-10: the ranking and the lists, beside cleanlab's."""
    measured = results("cifar10_labels")
    found = _by_case(measured)
    ways = (
        ("ours", "ours", "ours, as many of the rank as confident learning estimates"),
        ("cleanlab, logistic regression", *2 * ["cleanlab on logistic regression"]),
        ("cleanlab, our probabilities", *2 * ["cleanlab on our probabilities"]),
    )
    lines = [
        "| labels, features | wrong labels | method | ranking: average precision | list: recall | precision |",
        "|---|---|---|---|---|---|",
    ]
    for case in dict.fromkeys(case for case, metric in found if metric == "wrong labels"):
        wrong = f"{found[case, 'wrong labels']['median']:.1%}"
        for way, rank, listed in ways:
            of_list = listed if way == "ours" else f"{listed}, default filter"
            keys = (f"{rank}, average precision", f"{of_list}, recall", f"{of_list}, precision")
            cells = [_share(found[case, key]) for key in keys]
            lines.append(f"| {case} | {wrong} | {way} | {' | '.join(cells)} |")
    return _page(lines, hardware(measured, "cleanlab", "scikit-learn"))


def photograph_outliers() -> str:
    """Strangers among photographs: average precision before and now, and the questions at the default."""
    measured = results("photograph_outliers")
    found = _by_case(measured)
    head = "| strangers among 997 photographs of clothes | average precision | 0.2.0, same features | 0.2.0, gradients |"
    lines = [head + " asked about | questions about garments |", "|---|---|---|---|---|---|"]
    for case in dict.fromkeys(case for case, _ in found if case != "as they are"):
        precision, asked, beside = (
            found.get((case, f"{metric}, embeddings")) or found[case, metric]
            for metric in ("average precision", "asked about", "garments asked about")
        )
        before = [
            found.get((case, f"average precision in 0.2.0, {features}"))
            for features in ("embeddings", "gradients")
        ]
        cells = [f"**{_share(precision)}**", *(_share(one) if one else "–" for one in before)]
        cells += [f"{asked['median']:.0%}", f"{beside['median']:g}"]
        lines.append(f"| {case} | {' | '.join(cells)} |")
    clean = found["as they are", "asked about"]["median"]
    lines.append(f"| none: as they are | – | – | – | – | {clean:g} |")
    n = max(row["n"] for row in found.values())
    return _page(lines, f"Median of {n} draws. {hardware(measured, 'onnxruntime')}")


def next_to_label() -> str:
    """Accuracy after labelling n more images."""
    measured = results("active_learning")
    found = _by_case(measured)
    ways = ("by al_rank", "at random", "least probable first")
    lines = [
        "| labelled | " + " | ".join(f"`{w[3:]}`" if "al_rank" in w else w for w in ways) + " |",
        "|---|---|---|---|",
    ]
    for case in dict.fromkeys(case for case, metric in found if metric == "by al_rank"):
        cells = [f"{100 * found[case, way]['median']:.1f} %" for way in ways]
        lines.append(f"| {case} | {' | '.join(cells)} |")
    n = found[case, "by al_rank"]["n"]
    return _page(
        lines,
        f"Accuracy on 500 other digits, median of {n} seeds. {hardware(measured, 'scikit-learn')}",
    )


def _by_case(measured: dict[str, Any]) -> Rows:
    return {(row["case"], row["metric"]): row for row in measured["rows"]}


def _points(row: dict[str, Any]) -> str:
    return f"{row['median']:.1f}"


def _share(row: dict[str, Any]) -> str:
    return f"{row['median']:.3f}"


def _page(lines: list[str], note: str) -> str:
    return "\n".join([*lines, "", note, ""])
