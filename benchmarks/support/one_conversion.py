"""One conversion in a process of its own: `benchmarks.speed.conversion` starts it and reads the JSON line it prints.

    python -m benchmarks.support.one_conversion {ours,stock} SOURCE OUT [--longest-px N] [--read-back]

SOURCE is a folder that `conversion.prepare` made. The clock starts when libraries are loaded; CPU time is that of this
process and its workers. `ours` verifies every row; with --read-back `stock` then reads its file with its own Loader.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
WORKERS = 2
QUALITY = 90


class Clock:
    """Wall and CPU seconds since it was made, of this process and of its children that have ended."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _cpu_s()

    def read(self, name: str) -> dict[str, float]:
        return {
            f"{name}_wall_s": time.perf_counter() - self._wall,
            f"{name}_cpu_s": _cpu_s() - self._cpu,
        }


def _cpu_s() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def convert_with_ours(source: Path, out: Path, longest_px: int | None) -> dict[str, float]:
    """The stage as `dvc repro convert` runs it, with the state folder beside `out`."""
    from pipeline_lib.convert.params import ConvertParams
    from pipeline_lib.convert.run import run
    from pipeline_lib.harness.stage import StageRun
    from pipeline_lib.settings import Settings

    reads = {"shards": source / "shards", "pixel_rules": source / "pixel_rules.json"}
    reads |= {name: source / f"{name}.parquet" for name in ("members", "images")}
    settings = Settings(workers=WORKERS, root=out.parent, state_dir=Path("state"))
    params = ConvertParams(mode="jpg", long_side_px=longest_px, jpeg_quality=QUALITY)
    before = {path.name for path in out.glob("*.beton")}
    clock = Clock()
    run(StageRun(out.parent, reads, {"betons": out}, params, settings))
    taken = clock.read("convert")
    betons = list(out.glob("*.beton"))
    written = len({path.name for path in betons} - before)
    return {
        **taken,
        "size_bytes": sum(path.stat().st_size for path in betons),
        "shards": len(betons),
        "new": written,
    }


class Photographs:
    """The images of a source as FFCV's writer takes them: (PIL image, number) by index."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[object, int]:
        from PIL import Image

        return Image.open(self.paths[index]), index


def convert_with_stock(
    source: Path, out: Path, longest_px: int | None, *, read_back: bool
) -> dict[str, float]:
    """FFCV's own DatasetWriter, as its documentation shows it."""
    from ffcv.fields import IntField, RGBImageField
    from ffcv.writer import DatasetWriter

    paths = [
        source.parent / line
        for line in (source / "files.txt").read_text(encoding="utf-8").splitlines()
    ]
    field = RGBImageField(write_mode="jpg", jpeg_quality=QUALITY, max_resolution=longest_px)
    clock = Clock()
    writer = DatasetWriter(str(out), {"image": field, "label": IntField()}, num_workers=WORKERS)
    writer.from_indexed_dataset(Photographs(paths))
    wall_s = clock.read("convert")["convert_wall_s"]
    for worker in multiprocessing.active_children():  # the writer returns without waiting for them
        worker.join()
    taken = {**clock.read("convert"), "convert_wall_s": wall_s, "size_bytes": out.stat().st_size}
    if read_back:
        epochs = _read_epochs(out)
        next(epochs)  # compiles, which is not counted
        clock = Clock()
        assert next(epochs) == len(paths)
        taken |= clock.read("read_back")
    return taken


def _read_epochs(path: Path) -> Iterator[int]:
    """Read every image with FFCV's Loader, epoch by epoch; it decodes in full and hands over 8 x 8 pixels."""
    from ffcv.fields.decoders import CenterCropRGBImageDecoder, IntDecoder
    from ffcv.loader import Loader, OrderOption

    pipelines = {"image": [CenterCropRGBImageDecoder((8, 8), ratio=1)], "label": [IntDecoder()]}
    order = OrderOption.SEQUENTIAL
    loader = Loader(
        str(path),
        batch_size=64,
        num_workers=WORKERS,
        order=order,
        drop_last=False,
        pipelines=pipelines,
        os_cache=True,
    )
    while True:
        yield sum(len(labels) for _, labels in loader)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.support.one_conversion", description=__doc__
    )
    parser.add_argument("side", choices=("ours", "stock"))
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--longest-px", type=int)
    parser.add_argument("--read-back", action="store_true")
    options = parser.parse_args()
    if options.side == "ours":
        taken = convert_with_ours(options.source, options.out, options.longest_px)
    else:
        taken = convert_with_stock(
            options.source, options.out, options.longest_px, read_back=options.read_back
        )
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
