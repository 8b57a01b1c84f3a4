"""The tables of copies: planted among photographs, and of CIFAR-10's test images beside the list that people made."""

from __future__ import annotations

from pipeline_lib.curate.params import CurateParams
from scripts.measured import hardware, results


def cifar10_copies() -> str:
    """What is found at each agreement of details, and how much of the published list is among it."""
    measured = results("cifar10_duplicates")
    found: dict[str, dict[str, float]] = {}
    for row in measured["rows"]:
        found.setdefault(row["case"], {})[row["metric"]] = row["median"]
    published, params = found["published"], CurateParams()
    defaults = {params.dup_auto_agreement: ": a copy", params.dup_review_agreement: ": a question"}
    lines = [
        "| agreement at least | pairs with a test image | test images in them | of the published pairs | images |",
        "|---|---|---|---|---|",
    ]
    for case, row in found.items():
        if case.startswith("agreement"):
            agreement = case.removeprefix("agreement ")
            share = row["published test images"] / published["test images"]
            cells = [f"{row[name]:.0f}" for name in ("pairs with a test image", "test images")]
            cells += [f"{row['published pairs']:.0f} of {published['pairs']:.0f}", f"{share:.0%}"]
            lines.append(f"| {agreement}{defaults.get(float(agreement), '')} | {' | '.join(cells)} |")
    seconds = f"{found['images']['all']:.0f} images compared in {found['details']['wall']:.0f} s. "
    return "\n".join([*lines, "", seconds + hardware(measured), ""])


def photograph_copies() -> str:
    """Recall by kind of change, and what is false, among photographs."""
    measured = results("photograph_copies")
    found: dict[str, dict[str, float]] = {}
    for row in measured["rows"]:
        found.setdefault(row["case"], {})[row["metric"]] = row["median"]
    kinds = {case: row for case, row in found.items() if "copies" in row}
    n_copies = sum(row["copies"] for row in kinds.values())
    n_found = sum(row["copies"] * row["found"] for row in kinds.values())
    n_images = int(found["photographs"]["images"])
    head = f"| photographs: {n_images} of clothing, `python -m benchmarks.photograph_copies` | |"
    false = [f"{found[case]['different photographs left out']:g}" for case in ("as they are", "with planted copies")]
    lines = [
        f"| copies found, of {n_copies:g} planted in {len(kinds)} ways | {100 * n_found / n_copies:.1f} % |",
        *(f"| … {case} | {100 * row['found']:.1f} % |" for case, row in kinds.items()),
        f"| different photographs taken for copies: as they are, with planted copies | {', '.join(false)} |",
        f"| questions about possible copies in the set as it is | {found['as they are']['questions']:g} |",
    ]
    return "\n".join([head, "|---|---|", *lines, "", hardware(measured), ""])
