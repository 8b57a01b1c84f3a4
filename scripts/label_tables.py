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


def photograph_labels() -> str:
    """Planted flips among photographs: by the built-in network's features and by gradients."""
    measured = results("photograph_labels")
    found = _by_case(measured)
    lines = [
        "| features, flipped | method | ranking: average precision | first 50 right | doubted | recall | precision |",
        "|---|---|---|---|---|---|---|",
    ]
    ways = {"ours": "Perennial", "0.2.0": "release 0.2.0", "cleanlab": "cleanlab"}
    whats = ("average precision", "precision of the first 50", "doubted", "doubted, recall")
    for case in dict.fromkeys(case for case, metric in found if metric == "ours: doubted"):
        for way, named in ways.items():
            keys = [(case, f"{way}: {what}") for what in (*whats, "doubted, precision")]
            if keys[2] not in found:
                continue
            counted = f"{found[keys[2]]['median']:g}"
            cells = [_share(found[key]) if key in found else "–" for key in keys]
            lines.append(f"| {case} | {named} | {' | '.join([*cells[:2], counted, *cells[3:]])} |")
    images = found["photographs", "images"]["median"]
    accuracy = {
        way: [
            row["median"]
            for (case, metric), row in found.items()
            if case.startswith(way) and "estimated against" in metric
        ]
        for way in ("network", "gradients")
    }
    said = ", ".join(f"{way} {min(all_):.2f} to {max(all_):.2f}" for way, all_ in accuracy.items())
    n = max(row["n"] for row in found.values())
    asked = found["gradients, 0% flipped", "0.2.0: questions"]["median"]
    note = (
        f"{images:g} photographs of clothing, median of {n} draws. Estimated accuracy: {said}. Release 0.2.0 looked at "
        f"gradients, and asked about every label that was not the most probable one: {asked:g} questions on the photographs "
        "as they are. "
    )
    return _page(lines, note + hardware(measured, "cleanlab", "scikit-learn"))


def reliability() -> str:
    """Of labels with a probability to be wrong, how many are."""
    of_files = [results(name) for name in ("photograph_labels", "label_issues", "cifar10_labels")]
    rows = {(row["case"], row["metric"]): row for of in of_files for row in of["rows"]}
    cases: dict[str, dict[str, str]] = {}
    for case, metric in rows:
        head, _, name = case.partition("reliability: ")
        if head or metric != "wrong":
            continue
        data, _, edges = name.rpartition(", ")
        n = rows[case, "labels"]["median"]
        cases.setdefault(data, {})[edges] = f"{rows[case, 'wrong']['median']:.2f} ({n:,.0f})"
    bins = list(dict.fromkeys(edges for of in cases.values() for edges in of))
    bins.sort(key=lambda edges: float(edges.partition(" ")[0]))
    lines = [f"| probability | {' | '.join(bins)} |", "|---|" + "---|" * len(bins)]
    for data, of in cases.items():
        lines.append(f"| {data} | {' | '.join(of.get(edges, '–') for edges in bins)} |")
    return _page(lines, "Share of wrong labels (number of labels), all draws together.")


def cifar10_labels() -> str:
    """People's wrong labels on CIFAR-10: the ranking and the lists, beside 0.2.0's and cleanlab's."""
    measured = results("cifar10_labels")
    found = _by_case(measured)
    lines = [
        "| labels, features | wrong labels | method | ranking: average precision | list: recall | precision |",
        "|---|---|---|---|---|---|",
    ]
    ways = {
        "ours": "ours, doubted",
        "0.2.0": "0.2.0, doubted",
        "cleanlab on logistic regression": "cleanlab on logistic regression, default filter",
    }
    for case in dict.fromkeys(case for case, metric in found if metric == "wrong labels"):
        wrong = f"{found[case, 'wrong labels']['median']:.1%}"
        for rank, listed in ways.items():
            keys = (f"{rank}, average precision", f"{listed}, recall", f"{listed}, precision")
            cells = [_share(found[case, key]) for key in keys]
            lines.append(f"| {case} | {wrong} | {rank} | {' | '.join(cells)} |")
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
