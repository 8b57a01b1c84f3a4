"""`perennial predict` beside a bare ONNX Runtime loop; its memory with many images; its answers beside those of evaluate.

    python -m benchmarks.speed.prediction [--data FOLDER] [--work FOLDER] [--rounds 3] [--many 100000] [--fewer 1]

FOLDER holds clothing/clothing.tar and cifar10/cifar10.tar. Two models are trained by the real stages: recipe `finetune` with
`epochs: 0` on photographs that convert shrinks to 256 px, as `init` writes it for them, and `quick` on images of 32 px.

- same answers: every test photograph, in predictions.parquet and by predict from the file as received; and by predict without
  the JPEG encoding that convert did.
- images per CPU second: both sides read the same files with the same decode, predict with as many workers as there are cores,
  and write rows as JSON lines. The bare loop has one thread, since ONNX Runtime's own threads cost CPU time, and batches of
  the size that is best for it. Each side in a process of its own, in turn; opening the model counts.
- memory: largest resident size of the parent and of a worker of the whole command, with 10,000 files and with --many.

Writes benchmarks/results/prediction.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd

from benchmarks.support.beton_line import BetonLine
from benchmarks.support.file_line import FileLine, Picture
from benchmarks.support.prediction_sides import BARE, OURS
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.evaluate.params import EvaluateParams
from pipeline_lib.evaluate.run import run as evaluate
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.exported import load_exported
from pipeline_lib.predict import exported_model, predict_each
from pipeline_lib.prediction.sight import Sight, trained_sight
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.selection import SELECTION
from testing.small_line import evaluated_files

PHOTOGRAPHS, SMALL = "photographs", "images of 32 px"
ARCHIVES = {PHOTOGRAPHS: "clothing/clothing.tar", SMALL: "cifar10/cifar10.tar"}
CONVERT: dict[str, dict[str, int]] = {PHOTOGRAPHS: {"short_side_px": 256}, SMALL: {}}
TRAIN: dict[str, dict[str, Any]] = {
    PHOTOGRAPHS: {
        "recipe": "finetune",
        "weights": "builtin:efficientnet_lite0",
        "epochs": 0,
    },
    SMALL: {"recipe": "quick", "epochs": 1},
}
N_PICTURES = {PHOTOGRAPHS: 10_000, SMALL: 3000}  # at most; the first of each class
N_TEST = 250
N_IMAGES = {PHOTOGRAPHS: 2000, SMALL: 20_000}  # names of the images, for throughput
BATCHES = (1, 2, 4, 8, 32)
N_TRIED = {PHOTOGRAPHS: 128, SMALL: 2000}  # images, to find the best batch of the bare loop
TRIES = 2
SHARE = "of the bare loop, by CPU time"
FEW = 10_000


def pictures_of(archive: Path, most: int) -> list[Picture]:
    """Images of `split/class/name`, every so many of them."""
    with tarfile.open(archive) as tar:
        members = [member for member in tar.getmembers() if member.isfile()]
        members = members[:: max(1, len(members) // most)]
        found = [(one.name, tar.extractfile(one)) for one in members]
        return [Picture(name, name.split("/")[1], file.read()) for name, file in found if file]


def line_of(case: str, data: Path, work: Path) -> Path:
    """Convert, train and evaluate; the folder of the outputs of evaluate, with the images beside them as files."""
    folder = work / case.replace(" ", "-")
    if (folder / "out/export").exists():
        return folder / "out"
    pictures = pictures_of(data / ARCHIVES[case], N_PICTURES[case])
    for picture in pictures:
        file = folder / "files" / picture.image_id
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture.data)
    line: BetonLine = FileLine(folder / "line", pictures, convert=CONVERT[case])
    rows = pd.DataFrame(
        {
            "image_id": [picture.image_id for picture in pictures],
            "class_id": [picture.class_id for picture in pictures],
            "weight": 1.0,
        }
    ).sample(frac=1, random_state=0)
    test, val, train = rows[:N_TEST], rows[N_TEST : N_TEST + 100], rows[N_TEST + 100 :]
    weights = line.train(train, val, **TRAIN[case])
    classes = sorted(train["class_id"].unique())
    own = test.assign(label=test["class_id"].map(classes.index).astype("int32"))
    SELECTION.write(
        own[["image_id", "label", "class_id", "weight"]],
        weights.parent / "selection/test.parquet",
    )
    reads = {
        "weights": weights,
        "betons": line.betons,
        "selection": weights.parent / "selection",
        "classes": weights.parent / "classes.csv",
    }
    out = folder / "out"
    writes = evaluated_files(out)
    out.mkdir(exist_ok=True)
    evaluate(StageRun(folder, reads, writes, EvaluateParams(threads=1), line.settings))
    return out


def same_answers(out: Path) -> Iterator[Row]:
    """How many test images predict calls otherwise than evaluate, and the largest difference of a probability."""
    table = PREDICTIONS.read(out / "predictions.parquet")
    table = table[table["split"] == "test"]
    files = [out.parent / "files" / image_id for image_id in table["image_id"]]
    model = exported_model(out / "export")
    unrepeated = Sight(model.sight.rules, _view_without_encoding(out))
    for side, sight in (("predict", model.sight), ("without encoding", unrepeated)):
        changed = type(model)(**{**vars(model), "sight": sight})
        other, dp = 0, []
        for said, top, top_p in zip(
            predict_each(files, changed), table["top_classes"], table["top_p"], strict=True
        ):
            by_id = {guess.class_id: guess.p for guess in said.guesses}
            other += said.guesses[0].class_id != model.classes[int(top[0])][0]
            named = zip(top, top_p, strict=True)
            dp.append(max(abs(by_id.get(model.classes[int(k)][0], 0) - p) for k, p in named))
        yield row(f"{side}, {len(files)} test photographs", "other top-1", "images", [int(other)])
        yield row(f"{side}, {len(files)} test photographs", "largest |dp|", "", [float(max(dp))])
        data = [file.read_bytes() for file in files]
        began = time.process_time()
        for one in data:
            sight.see(one)
        cpu_ms = 1000 * (time.process_time() - began) / len(data)
        yield row(
            f"{side}, {len(files)} test photographs", "CPU to decode and view", "ms", [cpu_ms]
        )


def _view_without_encoding(out: Path) -> Callable[[Any], Any]:
    sight = trained_sight(load_exported(out / "export", threads=1).about)
    stored = sight.stored
    assert stored is not None
    return lambda pixels_HWC: sight.view(stored.apply(pixels_HWC))


def many_files(case: str, out: Path, n: int) -> Path:
    """A folder of n names of the images, hard links."""
    folder = out.parent / f"many-{n}"
    if not folder.exists():
        files = sorted(one for one in (out.parent / "files").rglob("*") if one.is_file())
        partial = folder.with_suffix(".partial")
        partial.mkdir()
        for number in range(n):
            file = files[number % len(files)]
            (partial / f"{number:06}{file.suffix}").hardlink_to(file)
        partial.rename(folder)
    return folder


def cost(side: str, out: Path, images: Path, target: Path, *, batch: int) -> tuple[float, float]:
    """CPU and wall seconds of a side, in a process of its own, without its imports."""
    words = [side, str(out / "export"), str(images), str(target), str(batch)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.support.prediction_sides", *words],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    cpu_s, wall_s = map(float, done.stdout.split())
    return cpu_s, wall_s


def throughput(case: str, out: Path, n: int, rounds: int, folder: Path) -> Iterator[Row]:
    """Images per CPU second of both, and the share that is left of the bare loop's."""
    images, few = many_files(case, out, n), many_files(case, out, N_TRIED[case])
    tried = {
        batch: min(cost(BARE, out, few, folder / "x", batch=batch)[0] for _ in range(TRIES))
        for batch in BATCHES
    }
    best = min(tried, key=lambda batch: tried[batch])
    print(f"{case}: CPU s of {N_TRIED[case]} images by batch: {tried}", flush=True)
    spent: dict[str, list[tuple[float, float]]] = {BARE: [], OURS: []}
    for _ in range(rounds):
        for side, runs in spent.items():
            runs.append(cost(side, out, images, folder / side, batch=best))
            print(f"{case}: {side} {runs[-1]}", flush=True)
    for side, runs in spent.items():
        whole = f"{case}, {side}"
        yield row(whole, f"images per CPU second, of {n}", "", [n / cpu_s for cpu_s, _ in runs])
        yield row(whole, "images per second", "", [n / wall_s for _, wall_s in runs])
    pairs = zip(spent[BARE], spent[OURS], strict=True)
    shares = [bare[0] / predicted[0] for bare, predicted in pairs]
    yield row(f"{case}, {OURS}", SHARE, "", shares)
    yield row(f"{case}, {BARE}", "batch", "images", [best])
    said = [
        json.loads(line)["file"]
        for line in (folder / OURS).read_text(encoding="utf-8").splitlines()
    ]
    assert said == sorted(said) and len(said) == n


# VmHWM and not ru_maxrss, which begins with the size of the process that started this one.
COMMAND = """
import json, resource, sys
from pathlib import Path
from flows.cli import main
code = main(sys.argv[1:])
status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
own = next(line.split()[1] for line in status if line.startswith("VmHWM"))
print(json.dumps([code, int(own), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


def memory(case: str, out: Path, n: int, folder: Path, *, piped: bool = False) -> Iterator[Row]:
    """Largest resident size of the command's parent and of one of its workers."""
    images = many_files(case, out, n)
    named = ["-"] if piped else [str(images)]
    names = "".join(f"{file}\n" for file in sorted(images.iterdir())) if piped else ""
    table = Path(tempfile.mkdtemp(dir=folder)) / "all.csv"
    words = ["predict", "--model", f"{out}/export", *named, "--out", str(table)]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        input=names,
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=folder,
    )
    code, parent_kb, worker_kb = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    with table.open(encoding="utf-8") as lines:
        assert sum(1 for _ in lines) == n + 1
    what = f"{n:,} {'names on standard input' if piped else 'files of a folder'}"
    print(what, parent_kb, worker_kb, flush=True)
    yield row(what, "memory of the parent", "MB", [parent_kb / 1024])
    yield row(what, "memory of a worker", "MB", [worker_kb / 1024])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--work", type=Path, help="keeps lines and files between runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--fewer", type=int, default=1, help="divides the images for throughput")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (options.work or Path(temporary)).absolute()
        out = {case: line_of(case, options.data.absolute(), work) for case in ARCHIVES}
        rows = list(same_answers(out[PHOTOGRAPHS]))
        for case in ARCHIVES:
            rows += throughput(
                case, out[case], N_IMAGES[case] // options.fewer, options.rounds, Path(temporary)
            )
        for n in (FEW, options.many):
            rows += memory(SMALL, out[SMALL], n, Path(temporary))
        rows += memory(SMALL, out[SMALL], options.many, Path(temporary), piped=True)
    print(f"wrote {write_results('prediction', rows, also=('onnxruntime',))}")


if __name__ == "__main__":
    main()
