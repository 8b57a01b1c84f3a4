"""Fuzz what comes in from outside: images through `examine`, archives through `download` and `init`.

    python -m benchmarks.robustness.fuzz_inputs [--mutations 2000] [--seed 1] [--formats jpeg,tar,...]

Every format starts from a few sound files; each mutation changes one of them: bytes flipped, stretches zeroed, copied,
inserted or removed, lengths and counts set to extreme values, the end cut off, two files spliced. The work is done in
worker processes of our own pool, so that what ends a process is counted with its signal: SIGPROF is a hang (more than
20 s of CPU time), SIGKILL memory that ran out (2.5 GB and the decoder's own limit), any other a crash. An exception
that is no verdict counts as a defect; its mutation is written to the current folder. Writes
benchmarks/results/fuzz_inputs.json. benchmarks/robustness/fuzz_views.py does the same for the C decoder, with
sanitizers.
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
import resource
import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.download.archives import find_members
from pipeline_lib.errors import BadData
from pipeline_lib.harness.shard_workers import work_on_shards
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.settings import Settings
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.sources.places import place_of
from pipeline_lib.survey.contents import look_into

IMAGE_CPU_S: Final = 20.0
MEMORY_BYTES: Final = 2_500_000_000
MUTATIONS_OF_A_UNIT: Final = 500
LIMITS: Final = ArchiveLimits(
    max_file_bytes=10_000_000, max_unpacked_bytes=100_000_000, max_ratio=200
)
EXTREMES: Final = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\0\0\0\1",
    b"\1\0\0\0",
)
ARCHIVES: Final = ("tar", "tar.gz", "zip")


@dataclass(frozen=True)
class Unit:
    """A stretch of one format's mutations. ended: mutation -> what it ended a process with, twice."""

    kind: str
    first: int
    last: int
    seed: int
    ended: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fuzzed:
    """What the mutations of a unit came to. defects: mutation -> exception."""

    accepted: int
    refused: int
    slowest_s: float
    peak_bytes: int
    defects: dict[str, str]


def seeds_of(kind: str) -> list[bytes]:
    """Sound files of a format, small ones: most bytes are structure then."""
    pixels = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    smooth = Image.fromarray(pixels).resize((6, 4)).resize((64, 48), Image.Resampling.BICUBIC)
    if kind in ARCHIVES:
        return [
            _archive(kind, form)
            for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
        ]
    return [_encoded(_in_mode(smooth, mode), kind, options) for mode, options in VARIANTS[kind]]


VARIANTS: Final[dict[str, list[tuple[str, dict[str, object]]]]] = {
    "jpeg": [("RGB", {}), ("L", {"progressive": True}), ("CMYK", {}),
             ("RGB", {"restart_marker_blocks": 2, "subsampling": 0})],
    "png": [("RGB", {}), ("P", {}), ("RGBA", {"compress_level": 0}), ("I;16", {}), ("1", {})],
    "gif": [("P", {}), ("P", {"save_all": True, "interlace": 0})],
    "webp": [("RGB", {}), ("RGBA", {"lossless": True}), ("RGB", {"save_all": True})],
    "bmp": [("RGB", {}), ("P", {}), ("1", {})],
    "tiff": [("RGB", {}), ("RGB", {"compression": "tiff_lzw"}), ("RGB", {"compression": "tiff_deflate"}),
             ("RGB", {"compression": "jpeg"}), ("1", {"compression": "group3"}), ("1", {"compression": "group4"}),
             ("RGB", {"big_tiff": True, "save_all": True})],
    "ppm": [("RGB", {}), ("L", {}), ("1", {})],
    "avif": [("RGB", {}), ("RGBA", {})],
}  # fmt: skip


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    return (
        Image.fromarray(np.asarray(picture.convert("L")).astype("<u2") * 257)
        if mode == "I;16"
        else picture.convert(mode)
    )


def _encoded(picture: Image.Image, kind: str, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    more = {"append_images": [picture.rotate(180)] * 3} if "save_all" in options else {}
    picture.save(buffer, kind, **options, **more)
    return buffer.getvalue()


def _archive(kind: str, form: int) -> bytes:
    """Five small files under names up to 82 characters, or up to 162 where the form has room."""
    length = 20 if form == tarfile.USTAR_FORMAT else 40
    files = {f"{n % 2}/{'x' * length * n}{n}.jpg": bytes([n]) * 700 * n for n in range(5)}
    buffer = io.BytesIO()
    if kind == "zip":
        method = zipfile.ZIP_STORED if form == tarfile.USTAR_FORMAT else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(buffer, "w", method) as made:
            for name, data in files.items():
                made.writestr(name, data)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0) if kind == "tar.gz" else buffer.getvalue()


def mutated(seeds: list[bytes], rng: random.Random) -> bytes:
    """One of the files with one to four changes."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 4))):
        if len(data) < 16:
            break
        # headers decide on the most: half of the changes fall into the first 600 bytes
        at = rng.randrange(min(len(data), 600)) if rng.random() < 0.5 else rng.randrange(len(data))
        size = min(rng.choice((1, 2, 4, 16, 512, 4096)), len(data) - at)
        change = rng.randrange(8)
        if change == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif change == 1:
            data[at : at + size] = rng.randbytes(size)
        elif change == 2:
            data[at : at + 4] = rng.choice(EXTREMES)
        elif change == 3:
            data[at : at + size] = bytes(size)
        elif change == 4:
            data[at:at] = data[at : at + size] * rng.choice((1, 2, 100))
        elif change == 5:
            del data[at : at + size]
        elif change == 6:
            del data[at:]
        else:
            other = rng.choice(seeds)
            data[at:] = other[rng.randrange(len(other)) :]
    return bytes(data)


def mutation(kind: str, seed: int, number: int, seeds: list[bytes]) -> bytes:
    """The mutation of a number; the same in every process.

    Half of them get behind the first check: what changed of a PNG or tar has true checksums, that of a tar.gz is the
    tar inside.
    """
    rng = random.Random(f"{kind} {seed} {number}")
    if number % 2 == 0 or kind not in ("png", "tar", "tar.gz"):
        return mutated(seeds, rng)
    if kind == "png":
        return _with_png_checksums(mutated(seeds, rng))
    plain = _with_tar_checksums(mutated([_unpacked(one) for one in seeds], rng))
    return gzip.compress(plain, mtime=0) if kind == "tar.gz" else plain


def _unpacked(data: bytes) -> bytes:
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def _with_png_checksums(data: bytes) -> bytes:
    fixed, at = bytearray(data), 8
    while at + 12 <= len(fixed):
        end = at + 8 + int.from_bytes(fixed[at : at + 4], "big")
        if end + 4 > len(fixed):
            break
        fixed[end : end + 4] = zlib.crc32(fixed[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(fixed)


def _with_tar_checksums(data: bytes) -> bytes:
    """Every block that says ustar gets the checksum of a header."""
    fixed = bytearray(data)
    for at in range(0, len(fixed) - 511, 512):
        if fixed[at + 257 : at + 262] == b"ustar":
            total = 256 + sum(fixed[at : at + 148]) + sum(fixed[at + 156 : at + 512])
            fixed[at + 148 : at + 156] = b"%06o\0 " % total
    return bytes(fixed)


def take(kind: str, data: bytes, folder: Path) -> bool:
    """Whether the line takes the file; a verdict on it is False, any other exception a defect."""
    if kind not in ARCHIVES:
        return examine(f"x.{kind}", data, InspectParams()).pixels_HWC is not None
    received, container = folder / f"received.{kind}", folder / "container"
    received.write_bytes(data)
    container.unlink(missing_ok=True)
    found = partial(
        find_members, received, container, keep=shutil.copyfile, name="x", limits=LIMITS
    )
    return all([_is_sound(found), _is_sound(partial(_survey, received))])


def _survey(archive: Path) -> None:
    """What `perennial init` reads of an archive."""
    for seen in look_into(
        place_of(archive.name, Settings(), root=archive.parent), lambda _: None
    ).files:
        if seen.first is not None:
            seen.first(1000)


def _is_sound(read: Callable[[], object]) -> bool:
    try:
        read()
    except BadData:
        return False
    return True


def fuzz(unit: Unit, at: Callable[[str], None]) -> Fuzzed:
    """The task of a worker."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES + 500_000_000, resource.RLIM_INFINITY))
    seeds = seeds_of(unit.kind)
    accepted, slowest_s = 0, 0.0
    defects: dict[str, str] = {}
    tried = [number for number in range(unit.first, unit.last) if str(number) not in unit.ended]
    with tempfile.TemporaryDirectory() as folder:
        for number in tried:
            data = mutation(unit.kind, unit.seed, number, seeds)
            at(str(number))
            before = time.process_time()
            try:
                accepted += take(unit.kind, data, Path(folder))
            except Exception as error:  # noqa: BLE001 - what is looked for
                defects[str(number)] = f"{type(error).__name__}: {error}"
            slowest_s = max(slowest_s, time.process_time() - before)
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Fuzzed(accepted, len(tried) - accepted - len(defects), slowest_s, peak_bytes, defects)


def passed_over(unit: Unit, number: str, cause: str) -> Unit:
    """The unit without a mutation that ended two processes; it is kept in the current folder."""
    Path(f"fuzz-{unit.kind}-{number}").write_bytes(
        mutation(unit.kind, unit.seed, int(number), seeds_of(unit.kind))
    )
    print(f"{unit.kind} {number}: {cause}", file=sys.stderr)
    causes.setdefault(unit.kind, {})[number] = cause
    return replace(unit, ended={**unit.ended, number: cause})


causes: dict[str, dict[str, str]] = {}


def rows_of(kind: str, results: list[Fuzzed], n_mutations: int) -> list[Row]:
    """The figures of one format."""
    ended = list(causes.get(kind, {}).values())
    counts = {
        "mutations": n_mutations,
        "taken": sum(one.accepted for one in results),
        "refused": sum(one.refused for one in results),
        "crashes": sum(cause not in ("SIGPROF", "SIGKILL") for cause in ended),
        "hangs": ended.count("SIGPROF"),
        "out of memory": ended.count("SIGKILL"),
        "defects": sum(len(one.defects) for one in results),
    }
    return [
        *(row(kind, metric, "inputs", [count]) for metric, count in counts.items()),
        row(kind, "slowest", "CPU s", [round(max(one.slowest_s for one in results), 3)]),
        row(
            kind,
            "peak memory of a worker",
            "MB",
            [round(max(one.peak_bytes for one in results) / 1e6)],
        ),
    ]


def main() -> int:
    """Command line; 1 when a mutation was no verdict."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.robustness.fuzz_inputs", description=__doc__
    )
    parser.add_argument("--mutations", type=int, default=2000, help="of each format (default 2000)")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations (default 1)")
    parser.add_argument(
        "--formats", default=",".join((*VARIANTS, *ARCHIVES)), help="which, with commas between"
    )
    options = parser.parse_args()
    rows = []
    for kind in options.formats.split(","):
        starts = range(0, options.mutations, MUTATIONS_OF_A_UNIT)
        units = {
            str(start): Unit(
                kind, start, min(start + MUTATIONS_OF_A_UNIT, options.mutations), options.seed
            )
            for start in starts
        }
        work = work_on_shards(
            fuzz, units, workers=2, step=int, spare=passed_over, image_cpu_s=IMAGE_CPU_S
        )
        results = [result for _, result in work]
        for number, said in sorted(item for one in results for item in one.defects.items()):
            Path(f"fuzz-{kind}-{number}").write_bytes(
                mutation(kind, options.seed, int(number), seeds_of(kind))
            )
            print(f"{kind} {number}: {said}", file=sys.stderr)
        rows += rows_of(kind, results, options.mutations)
        print(
            ", ".join(f"{one.metric} {one.median:g}" for one in rows if one.case == kind),
            kind,
            flush=True,
        )
    print(f"wrote {write_results('fuzz_inputs', rows)}")
    bad = ("crashes", "hangs", "out of memory", "defects")
    return int(any(one.median for one in rows if one.metric in bad))


if __name__ == "__main__":
    sys.exit(main())
