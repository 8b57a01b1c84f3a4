"""The tables of docs/speed.md: what loaders.py, conversion.py, kill_convert.py and cifar10.py measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.measured import hardware, results

Figures = dict[str, dict[str, Any]]  # metric -> row
CPU, RATE, TIMES = "CPU per picture", "pictures per second", "CPU of stock FFCV over its own"
SHARE = "FFCV's CPU time by this loader's"
FIRST, AFTER_TORCH = "process start to first batch", "of it, after the import of torch"
MEMORY = "memory beside the page cache"
RIVALS = ("ffcv", "torchvision", "webdataset", "litdata", "mosaicml-streaming", "nvidia-dali-cuda130")
LOADERS = {  # as the settings name them -> as people know them
    "load, ffcv": "load, Perennial",
    "load, stock": "load, FFCV 1.0.2",
    "load, torchvision": "load, Perennial with libraries only",
    "quick, 1 epochs, ffcv": "quick, 1 epoch, Perennial",
    "quick, 1 epochs, stock": "quick, 1 epoch, FFCV 1.0.2",
    "ours minus stock, same seed": "Perennial minus FFCV 1.0.2, same seed",
}
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
    head = ("reads, loader", "CPU ms per picture", "pictures per second", SHARE, "first batch, s")
    lines = [_line((*head, "of it, after `import torch`", "memory, MB")), "|---" * 7 + "|"]
    for case, figures in _cases(measured).items():
        spreads = [
            _spread(figures[name], digits)
            for name, digits in ((CPU, 3), (RATE, 0), (TIMES, 2), (FIRST, 1), (AFTER_TORCH, 1))
        ]
        lines.append(_line((_bold(case), *spreads, _spread(figures[MEMORY], 0))))
    return "\n".join([*lines, "", _notes(measured), ""])


def loaders_in_short() -> str:
    """The medians of some."""
    measured = results("loaders")
    lines = [_line(("reads, loader", "CPU ms per picture", SHARE, "first batch")), "|---" * 4 + "|"]
    cases = _cases(measured)
    for case in IN_SHORT:
        cpu, times, first = (cases[case][name]["median"] for name in (CPU, TIMES, FIRST))
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


def kills() -> str:
    """Every figure of benchmarks/robustness/kill_convert.py."""
    return every_figure("kill_convert")


def kills_of_training() -> str:
    """Every figure of benchmarks/robustness/kill_train.py."""
    return every_figure("kill_train")


def cifar10() -> str:
    """Every figure of benchmarks/training/cifar10.py."""
    return every_figure("cifar10", "ffcv", called=LOADERS)


def cifar10_stages() -> str:
    """Every figure of benchmarks/training/cifar10.py --stages-only."""
    return every_figure("cifar10_stages")


def training() -> str:
    """Every figure of benchmarks/speed/training.py."""
    return every_figure("training", "torchvision", "ffcv")


def freed_memory() -> str:
    """What keeping freed memory changes: a line per network."""
    measured = results("freed_memory")
    head = ("network", "CPU time, kept / given back", "page faults a step, given back", "kept", "peak, MB, given back")
    lines = [_line((*head, "kept")), "|---" * 6 + "|"]
    rows = measured["rows"]
    for case in dict.fromkeys(row["case"] for row in rows):
        figures = {row["metric"]: row for row in rows if row["case"] == case}
        both = [
            f"{figure}, freed memory {side}" for figure in ("page faults", "peak") for side in ("given back", "kept")
        ]
        ratio = _spread(figures["CPU time, kept to given back"], 3)
        lines.append(_line((case, ratio, *(f"{figures[name]['median']:,.0f}" for name in both))))
    n = rows[0]["n"]
    return "\n".join([*lines, "", f"Of {n} pairs of processes: median (least to most). {hardware(measured)}", ""])


def every_figure(name: str, *libraries: str, called: Mapping[str, str] | None = None) -> str:
    """A result file as a table, one line per figure. called: case -> what the table calls it."""
    measured = results(name)
    lines = [_line(("", "", "median (least to most)", "runs")), "|---" * 4 + "|"]
    for row in measured["rows"]:
        largest = abs(row["max"])
        digits = 0 if largest >= 100 or row["unit"] == "pictures" else 1 if largest >= 10 else 3
        value = (
            f"{row['median']:.{digits}f} {row['unit']}" if row["n"] == 1 else f"{_spread(row, digits)} {row['unit']}"
        )
        lines.append(_line(((called or {}).get(row["case"], row["case"]), row["metric"], value, str(row["n"]))))
    return "\n".join([*lines, "", hardware(measured, *libraries), ""])


def _cases(measured: dict[str, Any]) -> dict[str, Figures]:
    cases: dict[str, Figures] = {}
    for row in measured["rows"]:
        cases.setdefault(row["case"], {})[row["metric"]] = row
    return {case: figures for case, figures in cases.items() if CPU in figures}


def _notes(measured: dict[str, Any]) -> str:
    pictures = {row["metric"]: row for row in measured["rows"] if row["case"] == "pictures"}
    n = next(iter(_cases(measured).values()))[CPU]["n"]
    size, density = pictures["size"], pictures["mean bytes per pixel"]["median"]
    return (
        f"Median (least to most) of {n} processes each, three epochs of {size['n']} pictures after the first one. "
        f"The pictures: {size['median']:.0f} kB in the median, {density:.2f} bytes per pixel. "
        f"{hardware(measured, *RIVALS)}"
    )


def _spread(row: dict[str, Any], digits: int) -> str:
    return f"{row['median']:.{digits}f} ({row['min']:.{digits}f} to {row['max']:.{digits}f})"


def _bold(case: str) -> str:
    return f"**{case}**" if case.endswith("Perennial") else case


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


BACKBONE = (
    ("open", "to check and open the weights, once a process", "ms"),
    ("view", "to resize a photograph of 400 px to what it sees", "ms"),
    ("batch of 1", "to embed an image, one by one", "ms"),
    ("batch of 8", "… in batches of 8", "ms"),
    ("batch of 32", "… in batches of 32, as `inspect` does", "ms"),
    ("predict", "`perennial predict --model builtin photo.jpg`, all in all", "s"),
)


def backbone() -> str:
    """CPU time of the built-in backbone."""
    measured = results("backbone")
    found = {row["case"]: row for row in measured["rows"]}
    lines = [f"| {words} | {found[case]['median']:.3g} {unit} |" for case, words, unit in BACKBONE]
    head = "| measured by `python -m benchmarks.speed.backbone`, one thread | CPU time |"
    return "\n".join([head, "|---|---|", *lines, "", hardware(measured, "onnxruntime"), ""])
