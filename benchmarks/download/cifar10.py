"""CIFAR-10 as one tar of 60,000 images, from a disk, an S3 server and https: CPU and wall time, memory, the ledger.

    python -m benchmarks.download.cifar10 FILE.tar [--rounds 3]

FILE.tar holds train/CLASS/*.jpg and test/CLASS/*.jpg. `discover`'s listing and `download` run in a process of their own for
each place, in turn; the servers are on loopback (`rclone serve s3`, as in benchmarks.download.transfer, and a Python web
server with TLS), and their CPU time is not counted. Tables and shards of the three must be the same. Writes
benchmarks/results/download_cifar10.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.download.transfer import KEY, SECRET, cpu_s, our_download, s3_server
from benchmarks.support.results_file import row, write_results

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
PLACES = ("disk", "S3", "https")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tar", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--uri", help="one place in this process, for the benchmark itself")
    parser.add_argument("--endpoint", default="")
    options = parser.parse_args()
    if options.uri:
        print(json.dumps(one_place(options.uri, options.endpoint)))
        return

    from tests.support.certificates import own_authority
    from tests.support.web_server import WebServer

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "data" / "cifar").mkdir(parents=True)
        copy = folder / "data" / "cifar" / "cifar10.tar"
        shutil.copyfile(options.tar, copy)
        endpoint = stack.enter_context(s3_server(folder / "data"))
        authority, context = own_authority(folder)
        files = {"cifar10.tar": copy.read_bytes()}
        web = stack.enter_context(WebServer(files, context=context))
        uris = {
            "disk": str(copy),
            "S3": "s3://cifar/cifar10.tar",
            "https": f"{web.url}/cifar10.tar",
        }
        environment = os.environ | dict.fromkeys(CA_VARIABLES, str(authority))
        runs: dict[str, list[dict[str, float | str]]] = {place: [] for place in PLACES}
        for _ in range(options.rounds):
            for place, uri in uris.items():
                command = [sys.executable, "-m", "benchmarks.download.cifar10", str(options.tar)]
                command += ["--uri", uri, "--endpoint", endpoint if place == "S3" else ""]
                said = subprocess.run(
                    command, check=True, stdout=subprocess.PIPE, encoding="utf-8", env=environment
                )
                runs[place].append(json.loads(said.stdout.splitlines()[-1]))
                print(place, runs[place][-1], file=sys.stderr)
    rows = [
        row(place, metric, unit, [float(one[metric]) for one in runs[place]])
        for place in PLACES
        for metric, unit in (
            ("CPU time", "s"),
            ("wall time", "s"),
            ("peak memory", "MB"),
            ("images", "images"),
            ("refused", "images"),
        )
    ]
    tables = {one["tables"] for taken in runs.values() for one in taken}
    rows.append(row("all", "different tables or bytes", "kinds", [len(tables) - 1]))
    print(write_results("download_cifar10", rows, also=("boto3", "obstore")))


def one_place(uri: str, endpoint: str) -> dict[str, float | str]:
    """List and download; what came of it."""
    from pipeline_lib.shards.read import MemberBytes
    from pipeline_lib.tables.members import MEMBERS

    os.environ |= {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }
    with tempfile.TemporaryDirectory() as temporary:
        target = Path(temporary) / "project"
        work = our_download(uri, target, endpoint)
        wall, cpu = time.perf_counter(), cpu_s(is_program=False)
        work()
        wall, cpu = time.perf_counter() - wall, cpu_s(is_program=False) - cpu
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        members = MEMBERS.read(target / "out" / "members.parquet").sort_values("image_id")
        digest = hashlib.sha256()
        with MemberBytes(target / "out" / "shards") as shards:
            for one in members.itertuples():
                digest.update(f"{one.image_id} {one.sha256} {one.label_received}\n".encode())
                if not one.row_in_shard % 100:
                    data = shards.read(one.container, one.offset_bytes, one.size_bytes)
                    assert hashlib.sha256(data).hexdigest() == one.sha256, one.image_id
        return {
            "CPU time": round(cpu, 3),
            "wall time": round(wall, 3),
            "peak memory": round(peak_mb, 1),
            "images": int(members["refusal"].isna().sum()),
            "refused": int(members["refusal"].notna().sum()),
            "tables": digest.hexdigest(),
        }


if __name__ == "__main__":
    main()
