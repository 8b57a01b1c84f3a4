"""The tables of docs/export.md: what each form of a model is worth, and how many images 8 bits are calibrated on."""

from __future__ import annotations

from scripts.measured import hardware, results

CALIBRATED = "calibrated on "


def export_forms() -> str:
    """Model x form: size, accuracy, agreement, CPU time; then agreement by number of calibration images."""
    measured = results("export_forms")
    found: dict[str, dict[str, float]] = {}
    for row in measured["rows"]:
        found.setdefault(row["case"], {})[row["metric"]] = row["median"]
    lines = [
        "| model, form | kB | top-1 | same answer | largest difference of p | CPU ms for 1 image | for 64 | written |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case, metrics in found.items():
        forms = [name.removesuffix(", size") for name in metrics if name.endswith(", size")]
        for form in forms:
            of = {
                name.removeprefix(f"{form}, "): value
                for name, value in metrics.items()
                if name.startswith(f"{form}, ")
            }
            lines.append(
                f"| {case}, {form} | {of['size']:,.0f} | {of['top-1']:.1f} % | {of['same answer']:.1f} % | "
                f"{of['largest difference']:.2g} | {of['CPU for 1']:.2f} | {of['CPU for 64']:.1f} | "
                f"{'refused' if of['refused'] else 'yes'} |"
            )
    lines += ["", "| 8 bits, same answer when calibrated on | " + " | ".join(found) + " |"]
    lines.append("|---|" + "---|" * len(found))
    numbers = sorted(
        {_images(name) for metrics in found.values() for name in metrics if CALIBRATED in name}
    )
    for n in numbers:
        name = f"{CALIBRATED}{n}, same answer"
        cells = [f"{metrics[name]:.1f} %" if name in metrics else "" for metrics in found.values()]
        lines.append(f"| {n} images | " + " | ".join(cells) + " |")
    note = "One run of `python -m benchmarks.whole.export_forms`; CPU time of one thread, the median of 15."
    return "\n".join([*lines, "", f"{note} {hardware(measured, 'onnxruntime')}", ""])


def _images(metric: str) -> int:
    return int(metric.removeprefix(CALIBRATED).partition(",")[0])
