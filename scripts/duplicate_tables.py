"""The table of copies of CIFAR-10's test images, beside the list that people made."""

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
            lines.append(
                f"| {agreement}{defaults.get(float(agreement), '')} | {' | '.join(cells)} |"
            )
    seconds = f"{found['images']['all']:.0f} images compared in {found['details']['wall']:.0f} s. "
    return "\n".join([*lines, "", seconds + hardware(measured), ""])
