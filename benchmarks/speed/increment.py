"""What a night's new images cost: bytes moved, shards written, bytes added to DVC's cache and pushed; and a year of nights.

    python -m benchmarks.speed.increment [--images 1000] [--only night|year|known]

night: JPEGs of about 110 kB on moto's server, in shards of 4 MB (`download.shard_target_bytes`; the share of what is
written does not depend on it as long as there are many), through `dvc repro curate convert` and `dvc push`. Then, each
from the same state: 1 % more images at the end of the names, and scattered among them; one withdrawn; one replaced. Moved
are the bytes of the objects that were asked for. Shares are of the same figure of the first run. Weights, which have one
size whatever the number of images, are left out.

year: 0.1 % more each night, planned by the very function that `download` plans with: 14 GB of photographs of 1.1 MB in
shards of the default sizes.

known: `discover` of a folder and of an archive for the first time, unchanged, and touched, in CPU seconds.

Writes benchmarks/results/increment.json.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.support.results_file import Row, kept_rows, row, write_results
from pipeline_lib.discover.listing import list_sources
from pipeline_lib.download.params import DownloadParams
from pipeline_lib.settings import Settings
from pipeline_lib.shards.repack import pack_again
from pipeline_lib.sources.source import Source
from testing.checkout import Checkout, commit, throw_away_checkout
from testing.s3_server import BUCKET, CREDENTIALS, s3_server
from tests.support.flaky_proxy import FlakyProxy

PREFIX = "set"
SIDE_PX = 330  # of noise, as JPEG about 110 kB
SHARDS = {"shard_min_bytes": 1 << 20, "shard_target_bytes": 4 << 20, "shard_max_bytes": 8 << 20}
PHOTOGRAPH_BYTES, PHOTOGRAPHS, NIGHTS = 1_100_000, 12_800, 365
CASES = ("first run", "1 % more at the end", "1 % more, scattered", "one withdrawn", "one replaced")
LOOSE, ARCHIVE = "2,000 files of 110 kB", "an archive of 1 GiB"


def noise(seed: int) -> bytes:
    """A JPEG that nothing resembles."""
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def key_of(n: int) -> str:
    return f"{PREFIX}/class{n % 2}/{n:06d}.jpg"


@dataclass(frozen=True)
class Bucket:
    """The source: a client to change it, and a proxy that sees what is asked for."""

    client: Any
    proxy: FlakyProxy

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def moved_bytes(self, since: int) -> int:
        """Of the objects that were asked for since the request of that number."""
        asked = {
            one.path.partition("?")[0].removeprefix(f"/{BUCKET}/")
            for one in self.proxy.requests[since:]
            if one.method == "GET" and "list-type" not in one.path
        }
        listed = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        sizes = {one["Key"]: one["Size"] for page in listed for one in page.get("Contents", ())}
        return sum(sizes.get(key, 0) for key in asked)


@contextmanager
def bucket() -> Iterator[Bucket]:
    """An empty one."""
    with (
        s3_server(BUCKET) as server,
        FlakyProxy(server.url, lambda request: None) as proxy,
    ):
        yield Bucket(server.client, proxy)


def bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def shards_of(checkout: Checkout) -> dict[str, int]:
    folder = checkout.folder / "line/download/shards"
    return {file.name: file.stat().st_size for file in folder.iterdir()}


def run_once(checkout: Checkout, source: Bucket) -> dict[str, float]:
    """Run the line up to the betons and push; what that moved and added."""
    cache, remote = checkout.folder / ".dvc/cache/files", checkout.folder.parent / "remote"
    before = (bytes_below(cache), bytes_below(remote), len(source.proxy.requests))
    had = shards_of(checkout) if (checkout.folder / "line/download/shards").exists() else {}
    environment = {**CREDENTIALS, "PERENNIAL_S3_ENDPOINT_URL": source.proxy.url}
    checkout.repro("curate", "convert", **environment)
    checkout.python("dvc", "push", "-q")
    now = shards_of(checkout)
    return {
        "moved": source.moved_bytes(before[2]),
        "in shards written": sum(size for name, size in now.items() if name not in had),
        "added to DVC's cache": bytes_below(cache) - before[0],
        "pushed": bytes_below(remote) - before[1],
        "shards written": len(now.keys() - had.keys()),
        "shards": len(now),
    }


def nights(folder: Path, n_images: int) -> list[Row]:
    """Each case from the state of the first run."""
    more = n_images // 100
    places = {n: key_of(n) for n in range(n_images)}
    end = {key_of(n_images + n): n_images + n for n in range(more)}
    scattered = {
        places[100 * n + 50].replace(".jpg", "-new.jpg"): n_images + n for n in range(more)
    }
    first = throw_away_checkout(folder / "first" / "line")
    first.set_param("discover.sources", f"- name: pics\n  uri: s3://{BUCKET}/{PREFIX}")
    first.set_param("inspect.embedding_weights", "null")
    for name, value in SHARDS.items():
        first.set_param(f"download.{name}", str(value))
    first.python("dvc", "remote", "add", "-d", "storage", "../remote")
    commit(first, "Images on S3")
    found: dict[str, dict[str, float]] = {}
    with bucket() as source:
        for n, key in places.items():
            source.put(key, noise(n))
        found["first run"] = run_once(first, source)
        print("first run", found["first run"], flush=True)
        changes: dict[str, tuple[dict[str, int], str | None]] = {
            CASES[1]: (end, None),
            CASES[2]: (scattered, None),
            CASES[3]: ({}, places[n_images // 2]),
            CASES[4]: ({places[n_images // 2]: 2 * n_images}, None),
        }
        for case, (put, gone) in changes.items():
            shutil.copytree(folder / "first", folder / "then", symlinks=True)
            for key, seed in put.items():
                source.put(key, noise(seed))
            if gone:
                source.client.delete_object(Bucket=BUCKET, Key=gone)
            found[case] = run_once(Checkout(folder / "then" / "line"), source)
            print(case, found[case], flush=True)
            shutil.rmtree(folder / "then")
            for key in put.keys() - set(places.values()):
                source.client.delete_object(Bucket=BUCKET, Key=key)
            for n in (n for n, key in places.items() if key in put or key == gone):
                source.put(places[n], noise(n))
    return [
        made
        for case, figures in found.items()
        for name, value in figures.items()
        for made in _rows(case, name, value, found["first run"])
    ]


def _rows(case: str, name: str, value: float, first: dict[str, float]) -> list[Row]:
    if name.startswith("shards"):
        return [row(case, name, "shards", [value])]
    share = [] if case == CASES[0] else [row(case, name, "%", [100 * value / first[name]])]
    return [row(case, name, "bytes", [value]), *share]


def year() -> list[Row]:
    """Small nights by the plan alone."""
    limits = DownloadParams().shard_sizes()
    sizes = {f"{n:07d}": PHOTOGRAPH_BYTES for n in range(PHOTOGRAPHS)}
    random = np.random.default_rng(0)
    shards: list[tuple[str, ...]] = []
    written, small, each = [], [], max(PHOTOGRAPHS // 1000, 1)
    for night in range(NIGHTS + 1):
        if night:
            names = [f"{n:07d}-{night}" for n in random.choice(PHOTOGRAPHS, each, replace=False)]
            sizes |= dict.fromkeys(names, PHOTOGRAPH_BYTES)
        names = sorted(sizes)
        plan = pack_again(names, [sizes[name] for name in names], shards, limits)
        now = [tuple(names[at] for at in shard) for shard in plan]
        written.append(sum(sizes[name] for shard in set(now) - set(shards) for name in shard))
        small.append(sum(len(shard) * PHOTOGRAPH_BYTES < limits.min_bytes for shard in now))
        shards = now
    new = each * PHOTOGRAPH_BYTES
    whole = PHOTOGRAPHS * PHOTOGRAPH_BYTES
    rows = []
    for n in (100, NIGHTS):
        case = f"{n} nights of 0.1 % more"
        per_new = sum(written[1 : n + 1]) / (n * new)
        rows += [
            row(case, "written per new byte", "bytes", [per_new]),
            row(case, "written in the dearest night", "%", [100 * max(written[1 : n + 1]) / whole]),
            row(case, "small shards, at most", "shards", [max(small[1 : n + 1])]),
        ]
    return [
        *rows,
        row(f"{NIGHTS} nights of 0.1 % more", "shards in the end", "shards", [len(shards)]),
    ]


def known(folder: Path) -> list[Row]:
    """CPU seconds of listing local files."""
    for n in range(2000):
        path = folder / "loose" / f"{n % 10}" / f"{n:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(110_000))
    with (folder / "set.tar").open("wb") as file:
        for _ in range(1024):
            file.write(os.urandom(1 << 20))
    time.sleep(3)  # files that were written just now are not remembered
    rows = []
    for case, uri in ((LOOSE, "loose"), (ARCHIVE, "set.tar")):
        path = folder / uri
        files = [path] if path.is_file() else sorted(path.rglob("*.jpg"))
        rows.append(row(case, "first", "CPU s", [_listing_s(folder, uri)]))
        rows.append(row(case, "unchanged", "CPU s", [_listing_s(folder, uri) for _ in range(3)]))
        touch: Callable[[Path], None] = os.utime
        for file in files:
            touch(file)
        time.sleep(3)
        rows.append(row(case, "all touched", "CPU s", [_listing_s(folder, uri)]))
    return rows


def _listing_s(folder: Path, uri: str) -> float:
    source = (Source.model_validate({"name": "pics", "uri": uri}),)
    began = time.process_time()
    list_sources(source, Settings(workers=2), root=folder)
    return time.process_time() - began


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.increment", description=__doc__
    )
    parser.add_argument("--images", type=int, default=1000, help="of `night` (default 1000)")
    parser.add_argument("--only", choices=("night", "year", "known"), help="one part")
    options = parser.parse_args()
    os.environ.update(CREDENTIALS)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        if options.only in (None, "year"):
            rows += year()
        if options.only in (None, "known"):
            rows += known(Path(temporary))
        if options.only in (None, "night"):
            rows += nights(Path(temporary), options.images)
    kept = kept_rows("increment", but={one.case for one in rows}) if options.only else []
    print(f"wrote {write_results('increment', [*rows, *kept], also=('boto3', 'moto'))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
