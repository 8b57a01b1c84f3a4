"""The table of docs/groups.md: how often a worse group is found, and how often one is claimed in error."""

from __future__ import annotations

from scripts.measured import hardware, results

METRICS = ("found", "false claim", "Fisher with Holm", "Fisher alone")


def slices() -> str:
    """A row per case, per cent of nights."""
    measured = results("slices")
    found = {(one["case"], one["metric"]): one for one in measured["rows"]}
    cases = list(dict.fromkeys(case for case, _ in found))
    lines = [
        "| % of nights (95 % interval) | found | claimed in error | by Fisher's test of group against rest, with Holm | "
        "without Holm |",
        "|---|---|---|---|---|",
    ]
    for case in cases:
        cells = [_cell(found.get((case, metric))) for metric in METRICS]
        lines.append(f"| {case} | {' | '.join(cells)} |")
    nights = measured["rows"][0]["n"]
    note = f"{nights} simulated nights of 2,000 test images in 10 classes. {hardware(measured, 'scipy')}"
    return "\n".join([*lines, "", note, ""])


def _cell(one: dict[str, float] | None) -> str:
    return f"{one['median']:.1f} ({one['min']:.1f} to {one['max']:.1f})" if one else ""
