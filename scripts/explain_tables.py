"""The table of docs/explain.md: where maps lie on planted marks."""

from __future__ import annotations

from scripts.measured import hardware, results


def marks() -> str:
    """A row per network."""
    measured = results("marks")
    found = {(one["case"], one["metric"]): one for one in measured["rows"]}
    lines = [
        "| network | cells | top-1 | evidence on the mark, mean | ... by chance | rank correlation with fresh weights |",
        "|---|---|---|---|---|---|",
    ]
    for case in dict.fromkeys(one["case"] for one in measured["rows"]):

        def of(metric: str, part: str = "median", case: str = case) -> float:
            return float(found[case, metric][part])

        cells = round(of("cells"))
        correlation = "rank correlation with fresh weights"
        lines.append(
            f"| {case} | {cells} x {cells} | {of('top-1'):.2f} | {of('evidence on the mark, mean'):.2f} | "
            f"{of('share of the image that the grown box covers'):.2f} | {of(correlation):.2f} "
            f"({of(correlation, 'min'):.2f} to {of(correlation, 'max'):.2f}) |"
        )
    n = found[next(iter(found))[0], "evidence on the mark"]["n"]
    note = f"{n} new images per network, trained for this by `python -m benchmarks.explain.marks`."
    return "\n".join([*lines, "", f"{note} {hardware(measured, 'timm')}", ""])
