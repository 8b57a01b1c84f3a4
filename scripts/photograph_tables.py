"""The table of photographs: planted copies and planted damage, and what sound photographs were taken for."""

from __future__ import annotations

from typing import Any

from scripts.measured import hardware, results


def photographs() -> str:
    """Copies found by kind of change, damage named, and what is false."""
    both = [results("photograph_copies"), results("photograph_damage")]
    copies, damage = map(_by_case, both)
    n_images = int(copies["photographs"]["images"])
    commands = "`python -m benchmarks.curation.photograph_copies` and `...photograph_damage`"
    lines = [f"| photographs: {n_images} of clothing, {commands} | |", "|---|---|"]
    lines += [*_copies(copies), *_damage(damage)]
    return "\n".join([*lines, "", " ".join(dict.fromkeys(map(hardware, both))), ""])


def photographs_in_short() -> str:
    """What is found in photographs with the features of 0.2.0 and of today, and what training makes of them."""
    names = ("labels", "outliers", "copies")
    files = [*(results(f"photograph_{name}") for name in names), results("photographs_training")]
    labels, outliers, copies, training = map(_by_case, files)
    before, now = labels["gradients, 8% flipped"], labels["network, 8% flipped"]
    scenes = outliers["60 scenes in classes drawn at random"]
    kinds = _kinds(copies).values()
    n_copies = sum(row["copies"] for row in kinds)
    n_found = sum(row["copies"] * (row["found"] + row["asked"]) for row in kinds)
    (trained,) = training.values()
    top_1 = {
        side: trained[f"{side}, top-1 on test"] for side in ("ours", "probe", "timm", "fastai")
    }
    lines = [
        f"| {copies['photographs']['images']:g} photographs of clothing, with what `init` writes | 0.2.0 | now |",
        "|---|---|---|",
        f"| planted wrong labels (8 %): average precision | {before['0.2.0: average precision']:.2f} "
        f"| {now['ours: average precision']:.2f} |",
        f"| … doubted: recall, precision | {_both(before, '0.2.0')} | {_both(now, 'ours')} |",
        "| questions about labels in the set as it is "
        f"| {labels['gradients, 0% flipped']['0.2.0: questions']:g} | {labels['network, 0% flipped']['ours: doubted']:g} |",
        "| 60 scenes among them, as outliers: average precision "
        f"| {scenes['average precision in 0.2.0, gradients']:.2f} | {scenes['average precision, embeddings']:.2f} |",
        f"| copies found or asked about, of {n_copies:g} planted in {len(kinds)} ways | | {100 * n_found / n_copies:.1f} % |",
        f"| different photographs taken for copies | | {copies['with planted copies']['different photographs left out']:g} |",
        f"| top-1 on test, median of 5 splits, {trained['ours, training CPU']:.0f} CPU s of training "
        f"| | {top_1['ours']:.1f} % |",
        f"| … a linear probe of the frozen features | | {top_1['probe']:.1f} % |",
        "| … a fastai-like script and timm's defaults, from the same weights in the same CPU time | "
        f"| {top_1['fastai']:.1f} %, {top_1['timm']:.1f} % |",
    ]
    where = "More: [curation](docs/curation.md), [labels](docs/labels.md), [training](docs/training.md)."
    return "\n".join([*lines, "", f"{where} {hardware(files[0])}", ""])


def _both(found: dict[str, float], by: str) -> str:
    return f"{found[f'{by}: doubted, recall']:.2f}, {found[f'{by}: doubted, precision']:.2f}"


def photograph_copies() -> str:
    """Each kind of planted copies: found and asked, what a plain perceptual hash finds, and what both take."""
    measured = results("photograph_copies")
    found = _by_case(measured)
    lowest = {
        row["case"]: row["min"]
        for row in measured["rows"]
        if row["metric"] == "found or asked, held-out draws"
    }
    lines = [
        "| planted copies | found | asked | found or asked, least of 4 held-out draws | pHash, 6 / 10 bits |",
        "|---|---|---|---|---|",
        *(
            f"| {case} | {row['found']:.3g} | {row['asked']:.3g} | {lowest[case]:.3g} "
            f"| {row['pHash, 6 bits']:.3g} / {row['pHash, 10 bits']:.3g} |"
            for case, row in _kinds(found).items()
        ),
    ]
    held_out, plain = found["held-out draws"], found["plain pHash"]
    files = found["photographs"]
    false = [
        found["with planted copies"]["groups of different photographs"],
        held_out["groups of different photographs"],
    ]
    hashed = " and ".join(f"{plain[f'different photographs, {bits} bits']:g}" for bits in (6, 10))
    sentences = [
        f"{files['with planted copies']:g} files, {_kinds(found)['screenshot']['copies']:g} copies of each kind. Groups of "
        f"different photographs: {false[0]:g}, in the held-out draws {false[1]:g}; pairs of different photographs within 6 and "
        f"10 bits of pHash: {hashed}.",
        f"With gradients instead of the backbone {found['with gradients']['found, of all kinds']:.3g} of all copies are found. "
        f"Grouping takes {files['grouping']:.1f} CPU s, with gradients {found['with gradients']['grouping']:.1f}; decoding, "
        f"hashing and comparing by pHash {plain['hashing and comparing']:.1f}.",
        hardware(measured),
    ]
    return "\n".join([*lines, "", *sentences, ""])


def _kinds(found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {case: row for case, row in found.items() if "copies" in row}


def _copies(found: dict[str, dict[str, float]]) -> list[str]:
    kinds = _kinds(found)
    n_copies = sum(row["copies"] for row in kinds.values())
    n_found = sum(row["copies"] * (row["found"] + row["asked"]) for row in kinds.values())
    missed = {case: row for case, row in kinds.items() if row["found"] + row["asked"] < 1}
    false = [
        f"{found[case]['different photographs left out']:g}"
        for case in ("as they are", "with planted copies")
    ]
    return [
        f"| copies found or asked about, of {n_copies:g} planted in {len(kinds)} ways (100 % of each but these) "
        f"| {100 * n_found / n_copies:.1f} % |",
        *(
            f"| … {case} | {100 * (row['found'] + row['asked']):.1f} % |"
            for case, row in missed.items()
        ),
        f"| different photographs taken for copies: as they are, with planted copies | {', '.join(false)} |",
        *_prints(found),
        f"| questions about possible copies in the set as it is | {found['as they are']['questions']:g} |",
    ]


def _prints(found: dict[str, dict[str, float]]) -> list[str]:
    prints = {case.split(" ")[3]: row for case, row in found.items() if "taken for copies" in row}
    return [
        f"| two prints of {size} of the sides on one photograph taken for copies, of {row['pairs']:g} pairs "
        f"| {row['taken for copies']:g} |"
        for size, row in prints.items()
    ]


def _damage(found: dict[str, dict[str, float]]) -> list[str]:
    damaged = {case: row for case, row in found.items() if "damaged" in row}
    n_files = sum(row["damaged"] for row in damaged.values())
    n_named = sum(row["damaged"] * row["named"] for row in damaged.values())
    not_all = {case: row["named"] for case, row in damaged.items() if row["named"] < 1}
    sound = {case: row for case, row in found.items() if "sound" in row}
    again = {case: row for case, row in sound.items() if case != "as they are"}
    n_again = sum(row["sound"] for row in again.values())
    of_sound = f"{sound['as they are']['sound']:g} as they are and {n_again:g} saved again in {len(again)} ways"
    doubted = {case: row["remarked"] for case, row in sound.items() if row["remarked"]}
    spoilt = {case: row for case, row in found.items() if "spoilt" in row}
    placeholders = [row for row in found.values() if "placeholders" in row]
    n_pages = sum(row["placeholders"] for row in placeholders)
    n_said = sum(row["placeholders"] * row["named"] for row in placeholders)
    of_damaged = f"{n_files:g} damaged in {len(damaged)} ways (100 % of each but these)"
    return [
        f"| damaged files named, of {of_damaged} | {100 * n_named / n_files:.1f} % |",
        *(f"| … {case} | {100 * share:.1f} % |" for case, share in not_all.items()),
        *(
            f"| remarked, of {row['spoilt']:g} {case} | {100 * row['named']:.0f} % |"
            for case, row in spoilt.items()
        ),
        f"| sound files refused, of {of_sound} | {sum(row['refused'] for row in sound.values()):g} |",
        f"| … remarked (most of those as they are with reason: docs/bad-images.md) | {sum(doubted.values()):g} |",
        *(f"| … of these, {case} | {n_files:g} |" for case, n_files in doubted.items()),
        f"| placeholders remarked as `low_information`, of {n_pages:g} | {100 * n_said / n_pages:.1f} % |",
    ]


def _by_case(measured: dict[str, Any]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in measured["rows"]:
        found.setdefault(row["case"], {})[row["metric"]] = row["median"]
    return found
