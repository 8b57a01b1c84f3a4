"""What `download` costs, beside the programs that only move bytes: CPU seconds and memory, packing and sha256 included.

    python -m benchmarks.download.transfer [--rounds 3] [--folder FOLDER]

Many small objects and one large archive from an S3 server on loopback (`rclone serve s3`, a process of its own, whose CPU
time is not counted), and a local folder. Each side runs in a process of its own, in turn; what Python takes to start and to
import is counted for none but `aws`, which is a program. `make competitors` brings aws and rclone; then run it with
.venv-benchmarks/bin/python. Writes benchmarks/results/transfer.json.
"""

from __future__ import annotations

import argparse
import contextlib
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
from typing import Any

from benchmarks.support.results_file import Row, row, write_results

N_OBJECTS, OBJECT_BYTES = 10_000, 110_000
ARCHIVE_BYTES = 1 << 30
THREADS = 16
KEY, SECRET = "benchmark-key-of-twenty", "benchmark-secret"
MANY, ONE, LOCAL = (
    "10,000 objects of 110 KB, S3",
    "one archive of 1 GiB, S3",
    "10,000 files of 110 KB, folder",
)
BUCKET_OF = {MANY: "many", ONE: "one"}
OURS = "perennial"
SIDES = {
    MANY: ("aws s3 cp", "obstore and sha256", OURS),
    ONE: ("aws s3 cp", "obstore and sha256", OURS),
    LOCAL: ("cp and sha256sum", OURS),
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the data and the copies lie")
    parser.add_argument("--case", help="one side in this process, for the benchmark itself")
    parser.add_argument("--side")
    parser.add_argument("--endpoint", default="")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(one_side(options.case, options.side, options.folder, options.endpoint)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        make_data(folder / "data")
        with s3_server(folder / "data") as endpoint:
            rows = [
                one for case in SIDES for one in measure(case, folder, endpoint, options.rounds)
            ]
    print(write_results("transfer", rows, also=("boto3", "obstore")))


def make_data(data: Path) -> None:
    """Bytes that do not compress, as those of photographs: loose below many/, and in one tar below one/."""
    rng = random.Random(0)
    for number in range(N_OBJECTS):
        file = data / "many" / f"{number % 100:03d}" / f"{number:05d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(rng.randbytes(OBJECT_BYTES))
    (data / "one").mkdir()
    with tarfile.open(data / "one" / "all.tar", "w") as tar:
        for number in range(ARCHIVE_BYTES // (OBJECT_BYTES + 1024)):
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
    is_program = side in ("aws s3 cp", "cp and sha256sum")
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
    if side == "aws s3 cp":
        aws = [program("aws"), "s3", "cp", "--only-show-errors", "--recursive", uri, str(target)]
        return lambda: subprocess.run(aws, check=True)
    if side == "cp and sha256sum":
        hashed = f'cp -r "{data}" "{target}" && find "{target}" -type f -print0 | xargs -0 sha256sum > /dev/null'
        return lambda: subprocess.run(["sh", "-c", hashed], check=True)
    return by_obstore(BUCKET_OF[case], target, endpoint)


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


def by_obstore(bucket: str, target: Path, endpoint: str) -> Callable[[], object]:
    """The bytes and their sha256, many objects in memory alone, the archive into a file."""
    import obstore
    from obstore.store import S3Store

    config: Any = {"endpoint": endpoint, "region": "us-east-1"}
    store = S3Store(bucket, config=config, client_options={"allow_http": True, "timeout": "1h"})

    def digest(key: str) -> str:
        return hashlib.sha256(obstore.get(store, key).bytes()).hexdigest()

    def stream(key: str) -> None:
        digest = hashlib.sha256()
        with target.open("wb") as file:
            for chunk in obstore.get(store, key).stream(min_chunk_size=8 << 20):
                digest.update(chunk)
                file.write(chunk)

    def all_objects() -> None:
        keys = [one["path"] for page in obstore.list(store) for one in page]
        if bucket == BUCKET_OF[ONE]:
            stream(keys[0])
            target.unlink()
            return
        with ThreadPoolExecutor(THREADS) as pool:
            assert len(list(pool.map(digest, keys))) == N_OBJECTS

    return all_objects


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
