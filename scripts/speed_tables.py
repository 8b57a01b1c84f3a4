"""The tables of docs/speed.md: what loaders.py, conversion.py, kill_convert.py and cifar10.py measured."""

from __future__ import annotations

from typing import Any

from scripts.measured import hardware, results

Figures = dict[str, dict[str, Any]]  # metric -> row
CPU, TIMES = "CPU per image", "CPU of stock FFCV over its own"
SHARE = "speed-up over FFCV (CPU time)"
FIRST_CPU, FIRST = "CPU to first batch", "process start to first batch"
MEMORY = "memory beside the page cache"
RIVALS = (
    "ffcv",
    "torchvision",
    "webdataset",
    "litdata",
    "mosaicml-streaming",
    "nvidia-dali-cuda130",
)
IN_SHORT = (
    "jpg500, torchvision ImageFolder, PIL",
    "jpg500, LitData",
    "jpg500, DALI on the CPU",
    "jpg500, FFCV 1.0.2",
    "jpg500, Perennial",
    "raw400, FFCV 1.0.2",
    "raw400, Perennial",
)


def loaders() -> str:
    """Every loader: median, least and most of every figure."""
    measured = results("loaders")
    head = (
        "reads, loader",
        "CPU ms per image",
        SHARE,
        "CPU to first batch, s",
        "time to first batch, s",
        "memory, MB",
    )
    lines = [_line(head), "|---" * len(head) + "|"]
    for case, figures in _cases(measured).items():
        digits = {CPU: 3, TIMES: 2, FIRST_CPU: 2, FIRST: 2, MEMORY: 0}
        lines.append(
            _line(
                (_bold(case), *(_spread(figures[name], places) for name, places in digits.items()))
            )
        )
    return "\n".join([*lines, "", _notes(measured), ""])


def loaders_in_short() -> str:
    """The medians of some."""
    measured = results("loaders")
    lines = [
        _line(("reads, loader", "CPU ms per image", SHARE, "CPU to first batch")),
        "|---" * 4 + "|",
    ]
    cases = _cases(measured)
    for case in IN_SHORT:
        cpu, times, first = (cases[case][name]["median"] for name in (CPU, TIMES, FIRST_CPU))
        lines.append(_line((_bold(case), f"{cpu:.2f}", f"{times:.1f} x", f"{first:.1f} s")))
    return "\n".join([*lines, "", hardware(measured), ""])


def long_run() -> str:
    """Memory, threads and open files after the second and the last of many epochs."""
    rows = [row for row in results("loaders")["rows"] if row["case"].endswith(" epochs")]
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    lines = [_line(("", *metrics)), "|---" * (len(metrics) + 1) + "|"]
    for case in dict.fromkeys(row["case"] for row in rows):
        values = {row["metric"]: row["median"] for row in rows if row["case"] == case}
        lines.append(_line((case, *(f"{values[metric]:.0f}" for metric in metrics))))
    return "\n".join([*lines, "", "Memory in MB, as in the table above.", ""])


def conversion() -> str:
    """Every figure of benchmarks/speed/conversion.py."""
    return every_figure("conversion", "pillow", "simplejpeg", "ffcv")


def transfer() -> str:
    """Every figure of benchmarks/download/transfer.py."""
    return every_figure("transfer", "boto3", "obstore")


def download_cifar10() -> str:
    """Every figure of benchmarks/download/cifar10.py."""
    return every_figure("download_cifar10", "boto3", "obstore")


def listing() -> str:
    """Every figure of benchmarks/download/listing.py."""
    return every_figure("listing", "boto3")


def kills() -> str:
    """Every figure of benchmarks/robustness/kill_convert.py."""
    return every_figure("kill_convert")


def kills_of_training() -> str:
    """Every figure of benchmarks/robustness/kill_train.py."""
    return every_figure("kill_train")


def cifar10() -> str:
    """Every figure of benchmarks/training/cifar10.py."""
    return every_figure("cifar10", "ffcv")


def cifar10_stages() -> str:
    """Every figure of benchmarks/training/cifar10.py --stages-only."""
    return every_figure("cifar10_stages")


def training() -> str:
    """Every figure of benchmarks/speed/training.py."""
    return every_figure("training", "torchvision", "ffcv")


def freed_memory() -> str:
    """What keeping freed memory changes: a line per network."""
    measured = results("freed_memory")
    head = (
        "network",
        "CPU time, kept / given back",
        "page faults a step, given back",
        "kept",
        "peak, MB, given back",
    )
    lines = [_line((*head, "kept")), "|---" * 6 + "|"]
    rows = measured["rows"]
    for case in dict.fromkeys(row["case"] for row in rows):
        figures = {row["metric"]: row for row in rows if row["case"] == case}
        both = [
            f"{figure}, freed memory {side}"
            for figure in ("page faults", "peak")
            for side in ("given back", "kept")
        ]
        ratio = _spread(figures["CPU time, kept to given back"], 3)
        lines.append(_line((case, ratio, *(f"{figures[name]['median']:,.0f}" for name in both))))
    n = rows[0]["n"]
    return "\n".join(
        [*lines, "", f"Median (least to most) of {n} pairs of processes. {hardware(measured)}", ""]
    )


def every_figure(name: str, *libraries: str) -> str:
    """A result file as a table, one line per figure."""
    measured = results(name)
    lines = [_line(("", "", "median (least to most)", "runs")), "|---" * 4 + "|"]
    for row in measured["rows"]:
        largest = abs(row["max"])
        digits = 0 if largest >= 100 or row["unit"] == "images" else 1 if largest >= 10 else 3
        value = (
            f"{row['median']:.{digits}f} {row['unit']}"
            if row["n"] == 1
            else f"{_spread(row, digits)} {row['unit']}"
        )
        lines.append(_line((row["case"], row["metric"], value, str(row["n"]))))
    return "\n".join([*lines, "", hardware(measured, *libraries), ""])


def _cases(measured: dict[str, Any]) -> dict[str, Figures]:
    cases: dict[str, Figures] = {}
    for row in measured["rows"]:
        cases.setdefault(row["case"], {})[row["metric"]] = row
    return {case: figures for case, figures in cases.items() if CPU in figures}


def _notes(measured: dict[str, Any]) -> str:
    images = {row["metric"]: row for row in measured["rows"] if row["case"] == "images"}
    n = next(iter(_cases(measured).values()))[CPU]["n"]
    size, density = images["size"], images["mean bytes per pixel"]["median"]
    return (
        f"Median (least to most) of {n} processes each, three epochs of {size['n']} images after a warm-up epoch. "
        f"The images: {size['median']:.0f} kB in the median, {density:.2f} bytes per pixel. "
        f"{hardware(measured, *RIVALS)}"
    )


def _spread(row: dict[str, Any], digits: int) -> str:
    return f"{row['median']:.{digits}f} ({row['min']:.{digits}f} to {row['max']:.{digits}f})"


def _bold(case: str) -> str:
    return f"**{case}**" if case.endswith("Perennial") else case


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
