"""The tables of docs/operations.md: what a night's new images cost."""

from __future__ import annotations

from scripts.measured import hardware, results

SHARES = ("moved", "in shards written", "added to DVC's cache", "pushed")


def nights() -> str:
    """Change x the share of the first run that it moves, writes, adds and pushes."""
    measured = results("increment")
    found: dict[str, dict[tuple[str, str], float]] = {}
    for row in measured["rows"]:
        found.setdefault(row["case"], {})[row["metric"], row["unit"]] = row["median"]
    first = found.pop("first run")
    head = ("", *SHARES, "shards written")
    lines = [_line(head), "|---" * len(head) + "|"]
    sizes = [f"{first[name, 'bytes'] / 1e6:.0f} MB" for name in SHARES]
    lines.append(_line(("first run", *sizes, f"{first['shards written', 'shards']:.0f}")))
    for case, figures in found.items():
        if ("moved", "%") in figures:
            shares = [f"{figures[name, '%']:.1f} %" for name in SHARES]
            written, of = (figures[name, "shards"] for name in ("shards written", "shards"))
            lines.append(_line((case, *shares, f"{written:.0f} of {of:.0f}")))
    lines += ["", hardware(measured, "dvc", "moto"), ""]
    rest = [row for row in measured["rows"] if ("moved", "%") not in found.get(row["case"], {})]
    lines += ["| | | |", "|---|---|---|"]
    lines += [
        _line((row["case"], row["metric"], f"{row['median']:.3g} {row['unit']}"))
        for row in rest
        if row["case"] != "first run"
    ]
    return "\n".join([*lines, ""])


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
