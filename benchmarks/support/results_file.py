"""Write what a benchmark measured: machine, versions and rows, in the form that docs are generated from."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"
LIBRARIES = (
    "torch",
    "torchvision",
    "ffcv",
    "pillow",
    "simplejpeg",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "dvc",
)


@dataclass(frozen=True)
class Row:
    """One measured figure: its spread over n runs."""

    case: str
    metric: str
    unit: str
    median: float
    min: float
    max: float
    n: int


def row(case: str, metric: str, unit: str, values: Sequence[float]) -> Row:
    """The spread of some values."""
    return Row(case, metric, unit, statistics.median(values), min(values), max(values), len(values))


def kept_rows(name: str, *, but: Collection[str]) -> list[Row]:
    """The rows of the last run, without those of the cases `but`; none where nothing ran yet."""
    path = RESULTS / f"{name}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    return [Row(**one) for one in rows if one["case"] not in but]


def write_results(name: str, rows: Iterable[Row], *, also: Sequence[str] = ()) -> Path:
    """Write benchmarks/results/<name>.json and return its path. also: further libraries whose versions matter."""
    content = {
        "machine": _machine(),
        "versions": {
            "python": platform.python_version(),
            **{library: version(library) for library in (*LIBRARIES, *also)},
        },
        "rows": [asdict(one) for one in rows],
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def _machine() -> dict[str, object]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    info = Path("/proc/cpuinfo")
    models = [
        line.partition(":")[2].strip()
        for line in info.read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
    }
