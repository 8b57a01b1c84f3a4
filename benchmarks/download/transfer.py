"""What `download` costs, beside the programs that only move bytes: CPU seconds and memory, packing and sha256 included.

    python -m benchmarks.download.transfer [--rounds 3] [--folder FOLDER] [--small]

Many small objects and one large archive from an S3 server on loopback (`rclone serve s3`, a process of its own, whose CPU
time is not counted), and a local folder. Each side runs in a process of its own, in turn; what Python takes to start and to
import is counted for none but `aws`, which is a program. "Obstore and sha256" leaves the small objects in memory, and streams
the archive into a file in chunks of obstore's own size. "A bare write" is the least that keeping the bytes costs: one tar, or
the archive in chunks of 1 MiB, flushed to the disk, without lists, tables and checks. `make competitors` brings aws and rclone;
then run it with .venv-benchmarks/bin/python. Writes benchmarks/results/transfer.json; with --small, a tenth of the data to
try it, it writes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import io
import json
import os
import random
import resource
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from benchmarks.support.results_file import Row, row, write_results

OBJECT_BYTES = 110_000
N_OBJECTS, ARCHIVE_BYTES = 10_000, 1 << 30
SMALL = 10  # a tenth of both
THREADS = 16
KEY, SECRET = "benchmark-key-of-twenty", "benchmark-secret"
MANY, ONE, LOCAL = (
    "10,000 objects of 110 KB, S3",
    "one archive of 1 GiB, S3",
    "10,000 files of 110 KB, folder",
)
BUCKET_OF = {MANY: "many", ONE: "one"}
AWS, OBSTORE, BARE = "aws s3 cp", "obstore and sha256", "obstore, sha256 and a bare write"
COPIED, OURS = "cp and sha256sum", "perennial"
SIDES = {MANY: (AWS, OBSTORE, BARE, OURS), ONE: (AWS, OBSTORE, BARE, OURS), LOCAL: (COPIED, OURS)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the data and the copies lie")
    parser.add_argument(
        "--small", action="store_true", help="a tenth of the data; writes no result"
    )
    parser.add_argument("--case", help="one side in this process, for the benchmark itself")
    parser.add_argument("--side")
    parser.add_argument("--endpoint", default="")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(one_side(options.case, options.side, options.folder, options.endpoint)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        make_data(folder / "data", 1 / SMALL if options.small else 1)
        with s3_server(folder / "data") as endpoint:
            rows = [
                one for case in SIDES for one in measure(case, folder, endpoint, options.rounds)
            ]
    if options.small:
        print("\n".join(f"{one.case}: {one.metric} {one.median:.2f} {one.unit}" for one in rows))
    else:
        print(write_results("transfer", rows, also=("boto3", "obstore")))


def make_data(data: Path, share: float) -> None:
    """Bytes that do not compress, as those of photographs: loose below many/, and in one tar below one/."""
    rng = random.Random(0)
    for number in range(round(N_OBJECTS * share)):
        file = data / "many" / f"{number % 100:03d}" / f"{number:05d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(rng.randbytes(OBJECT_BYTES))
    (data / "one").mkdir()
    with tarfile.open(data / "one" / "all.tar", "w") as tar:
        for number in range(round(ARCHIVE_BYTES * share) // (OBJECT_BYTES + 1024)):
            member = tarfile.TarInfo(f"{number % 100:03d}/{number:05d}.jpg")
            member.size = OBJECT_BYTES
            tar.addfile(member, io.BytesIO(rng.randbytes(OBJECT_BYTES)))


@contextlib.contextmanager
def s3_server(data: Path) -> Iterator[str]:
    """`rclone serve s3` on the folders of `data`, which are its buckets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        program("rclone"),
        "serve",
        "s3",
        str(data),
        "--addr",
        address,
        "--config",
        "/dev/null",
    ]
    server = subprocess.Popen(
        [*command, "--auth-key", f"{KEY},{SECRET}"], stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(address.split(":")):
                break
            time.sleep(0.1)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait()


def measure(case: str, folder: Path, endpoint: str, rounds: int) -> list[Row]:
    """All sides of a case in turn, now one first and now the other."""
    taken: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES[case]}
    for number in range(rounds):
        for side in sorted(SIDES[case], reverse=bool(number % 2)):
            command = [sys.executable, "-m", "benchmarks.download.transfer", "--case", case]
            command += ["--side", side, "--folder", str(folder), "--endpoint", endpoint]
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
            taken[side].append(json.loads(said.stdout))
            print(case, side, said.stdout.strip(), file=sys.stderr)
    rows = []
    for side, runs in taken.items():
        rows += [row(f"{case}: {side}", "CPU time", "s", [run["cpu_s"] for run in runs])]
        rows += [row(f"{case}: {side}", "peak memory", "MB", [run["peak_mb"] for run in runs])]
    ours = [run["cpu_s"] for run in taken[OURS]]
    for side in SIDES[case][:-1]:
        others = [run["cpu_s"] for run in taken[side]]
        ratios = [mine / other for mine, other in zip(ours, others, strict=True)]
        rows.append(row(f"{case}: {OURS}", f"CPU time / {side}", "x", ratios))
    return rows


def one_side(case: str, side: str, folder: Path, endpoint: str) -> dict[str, float]:
    """Figures of one side: CPU seconds of its work, and the most memory of its process."""
    target = folder / "copy"
    os.environ |= {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }
    work = prepared(case, side, folder, target, endpoint)
    is_program = side in (AWS, COPIED)
    gc.freeze()  # as a stage does with what it imported
    before = cpu_s(is_program)
    try:
        work()
        who = resource.RUSAGE_CHILDREN if is_program else resource.RUSAGE_SELF
        return {
            "cpu_s": round(cpu_s(is_program) - before, 3),
            "peak_mb": round(resource.getrusage(who).ru_maxrss / 1000, 1),
        }
    finally:
        shutil.rmtree(target, ignore_errors=True)


def prepared(
    case: str, side: str, folder: Path, target: Path, endpoint: str
) -> Callable[[], object]:
    """The work of a side, with what it imports imported."""
    data = folder / "data" / "many"
    uri = f"s3://{BUCKET_OF[case]}" if case in BUCKET_OF else str(data)
    if side == OURS:
        return our_download(f"{uri}/all.tar" if case == ONE else uri, target, endpoint)
    if side == AWS:
        aws = [program("aws"), "s3", "cp", "--only-show-errors", "--recursive", uri, str(target)]
        return lambda: subprocess.run(aws, check=True)
    if side == COPIED:
        hashed = f'cp -r "{data}" "{target}" && find "{target}" -type f -print0 | xargs -0 sha256sum > /dev/null'
        return lambda: subprocess.run(["sh", "-c", hashed], check=True)
    return by_obstore(BUCKET_OF[case], target, endpoint, keeps=side == BARE)


def our_download(uri: str, target: Path, endpoint: str) -> Callable[[], object]:
    """List the source and download it, as the two stages do."""
    from pipeline_lib.download.params import DownloadParams
    from pipeline_lib.settings import Settings
    from testing.sources import take_sources

    if endpoint:
        import boto3  # noqa: F401 - counted for no side
        import obstore  # noqa: F401

    target.mkdir()
    settings = Settings(s3_endpoint_url=endpoint, workers=THREADS // 4, state_dir=target / "state")
    return lambda: take_sources(
        target, ({"uri": uri},), out="out", params=DownloadParams(), settings=settings
    )


def by_obstore(bucket: str, target: Path, endpoint: str, *, keeps: bool) -> Callable[[], object]:
    """The bytes and their sha256: of many objects in memory alone or in a bare tar (keeps), of the archive in a file."""
    import obstore
    from obstore.store import S3Store

    from pipeline_lib.shards.tar_files import write_end, write_member

    config: Any = {"endpoint": endpoint, "region": "us-east-1"}
    store = S3Store(bucket, config=config, client_options={"allow_http": True, "timeout": "1h"})

    def stream(key: str) -> None:
        digest = hashlib.sha256()
        with target.open("wb") as file:
            got = obstore.get(store, key)
            for chunk in got.stream(min_chunk_size=1 << 20) if keeps else got.stream():
                digest.update(chunk)
                file.write(chunk)
            if keeps:
                flush(file)

    def read(key: str) -> tuple[str, Any, str]:
        data = obstore.get(store, key).bytes()
        return key, data if keeps else b"", hashlib.sha256(data).hexdigest()

    def all_objects() -> None:
        keys = [one["path"] for page in obstore.list(store) for one in page]
        if bucket == BUCKET_OF[ONE]:
            stream(keys[0])
            target.unlink()
            return
        target.mkdir()
        with ThreadPoolExecutor(THREADS) as pool, (target / "bare.tar").open("wb") as file:
            for start in range(0, len(keys), 4 * THREADS):  # no more of them in memory
                for key, data, _ in pool.map(read, keys[start : start + 4 * THREADS]):
                    if keeps:
                        write_member(file, key, data)
            write_end(file)
            if keeps:
                flush(file)

    return all_objects


def flush(file: BinaryIO) -> None:
    """Bring what was written to the disk, as `download` does."""
    file.flush()
    os.fsync(file.fileno())


def cpu_s(is_program: bool) -> float:
    """CPU seconds of this process, or of those that it started."""
    used = os.times()
    return used.children_user + used.children_system if is_program else used.user + used.system


def program(name: str) -> str:
    """A program beside Python, or on the PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        sys.exit(
            f"no {name}: run `make competitors`, then .venv-benchmarks/bin/python -m benchmarks.download.transfer"
        )
    return found


if __name__ == "__main__":
    main()
