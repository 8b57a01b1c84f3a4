"""What a million S3 keys cost: seconds and memory of `discover`, against a listing server of our own.

    python -m benchmarks.download.listing [--keys 1000000]

The server, a process of its own whose CPU time is not counted, answers list_objects_v2 with pages of 1,000 made-up keys. In a
project of its own the commands that users run are measured, each in a fresh process with all that it imports: the stage
`discover`, which lists them for the first time; then, with another ETag for every key, `perennial discover`, which says that
all are replaced, and the stage again. Writes benchmarks/results/listing.json.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.support.results_file import Row, row, write_results

ROOT = Path(__file__).parents[2]
PAGE = 1000
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
PARAMS = "discover: {sources: [{name: all, uri: s3://images/set}]}\n" + "".join(
    f"{stage}: {{}}\n"
    for stage in ("download", "inspect", "curate", "convert", "train", "evaluate", "register")
)
STAGE, COMMAND = ("pipeline_lib.stage", "discover"), ("flows.cli", "discover")
LISTING = "line/discover/listing.parquet"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument(
        "--serve", type=int, metavar="EDITION", help="be the server; for the benchmark itself"
    )
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.keys, options.serve)
        return
    with tempfile.TemporaryDirectory() as temporary:
        rows = measure(Path(temporary), options.keys)
        print(write_results("listing", rows, also=("boto3",)))


def measure(project: Path, n_keys: int) -> list[Row]:
    """The rows of the three commands."""
    for name in ("dvc.yaml", "settings.toml"):
        shutil.copyfile(ROOT / name, project / name)
    (project / "params.yaml").write_text(PARAMS, encoding="utf-8")
    told = f"{n_keys:,} keys"
    with server(n_keys, edition=1) as url:
        rows = command(f"{told}, first listing: stage", STAGE, project, url)
    keep_as_dvc(project)
    with server(n_keys, edition=2) as url:
        rows += command(f"{told}, all replaced: perennial discover", COMMAND, project, url)
        rows += command(f"{told}, all replaced: stage", STAGE, project, url)
    return rows


def command(case: str, module: tuple[str, str], project: Path, url: str) -> list[Row]:
    """Run a command in the project, and give what it took."""
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",  # of a server on loopback
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PERENNIAL_S3_ENDPOINT_URL": url,
        "PYTHONPATH": str(ROOT),
    }
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", *module], cwd=project, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, module
    figures = {
        ("CPU time", "s"): used.ru_utime + used.ru_stime,
        ("time", "s"): time.monotonic() - began,
        ("peak memory", "MB"): used.ru_maxrss / 1000,
    }
    print(case, figures, file=sys.stderr)
    return [row(case, metric, unit, [value]) for (metric, unit), value in figures.items()]


def keep_as_dvc(project: Path) -> None:
    """Keep the listing as DVC does: in its cache, named by dvc.lock."""
    data = (project / LISTING).read_bytes()
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    cached = project / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(data)
    entry = {"outs": [{"path": LISTING, "md5": md5}], "params": {}}
    (project / "dvc.lock").write_text(json.dumps({"stages": {"discover": entry}}), encoding="utf-8")


@contextlib.contextmanager
def server(n_keys: int, *, edition: int) -> Iterator[str]:
    """The address of a server whose ETags are those of an edition."""
    module = [sys.executable, "-m", "benchmarks.download.listing", "--keys", str(n_keys)]
    process = subprocess.Popen(
        [*module, "--serve", str(edition)], stdout=subprocess.PIPE, encoding="utf-8"
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def serve(n_keys: int, edition: int) -> None:
    """Answer until terminated; says its address first."""
    _Pages.n_keys, _Pages.edition = n_keys, edition
    pages = HTTPServer(("127.0.0.1", 0), _Pages)
    print(f"http://127.0.0.1:{pages.server_port}", flush=True)
    pages.serve_forever()


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    n_keys = 0
    edition = 1

    def do_GET(self) -> None:
        """Give the page that begins where the token says."""
        query = parse_qs(urlsplit(self.path).query)
        start = int(query.get("continuation-token", ["0"])[0])
        stop = min(start + PAGE, self.n_keys)
        entries = "".join(_entry(number, self.edition) for number in range(start, stop))
        more = (
            f"<NextContinuationToken>{stop}</NextContinuationToken>" if stop < self.n_keys else ""
        )
        is_cut = "true" if more else "false"
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="{NAMESPACE}"><Name>images</Name>'
            f"<KeyCount>{stop - start}</KeyCount><IsTruncated>{is_cut}</IsTruncated>{more}{entries}</ListBucketResult>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _entry(number: int, edition: int) -> str:
    key = f"set/class_{number // PAGE:04d}/image_{number:08d}.jpg"
    return (
        f"<Contents><Key>{key}</Key><LastModified>2026-11-30T16:12:26.000Z</LastModified>"
        f"<ETag>&quot;{edition:04x}{number:028x}&quot;</ETag><Size>{100_000 + number % 1000}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


if __name__ == "__main__":
    main()
