"""What listing a million S3 keys costs: seconds and memory of `discover`, against a listing server of our own.

    python -m benchmarks.download.listing [--keys 1000000]

The server, a process of its own whose CPU time is not counted, answers list_objects_v2 with pages of 1,000 made-up keys. A
fresh process lists them, writes listing.parquet, and tells what is new since a listing of half of them. Writes
benchmarks/results/listing.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.support.results_file import row, write_results

PAGE = 1000
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument(
        "--serve", action="store_true", help="be the server; for the benchmark itself"
    )
    parser.add_argument("--list", metavar="URL", help="be the client; for the benchmark itself")
    options = parser.parse_args()
    if options.serve:
        serve(options.keys)
    elif options.list:
        print(json.dumps(listed(options.list, options.keys)))
    else:
        measure(options.keys)


def measure(n_keys: int) -> None:
    """Start both processes, and write what the client measured of itself."""
    command = [sys.executable, "-m", "benchmarks.download.listing", "--keys", str(n_keys)]
    server = subprocess.Popen([*command, "--serve"], stdout=subprocess.PIPE, encoding="utf-8")
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        said = subprocess.run([*command, "--list", url], check=True, stdout=subprocess.PIPE)
    finally:
        server.terminate()
        server.wait()
    found = json.loads(said.stdout)
    print(found, file=sys.stderr)
    case = f"{n_keys:,} keys"
    rows = [
        row(case, "CPU time", "s", [found["cpu_s"]]),
        row(case, "time", "s", [found["wall_s"]]),
        row(case, "peak memory", "MB", [found["peak_mb"]]),
        row(case, "peak memory beside imports", "MB", [found["peak_mb"] - found["imports_mb"]]),
    ]
    print(write_results("listing", rows, also=("boto3",)))


def listed(url: str, n_keys: int) -> dict[str, float]:
    """List and write, in this process."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",  # of a server on loopback
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    import boto3  # noqa: F401 - its time is not the listing's

    from pipeline_lib.discover.listing import list_sources
    from pipeline_lib.discover.news import news_of
    from pipeline_lib.settings import Settings
    from pipeline_lib.sources.source import Source
    from pipeline_lib.tables.listing import LISTING

    imports_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    began, cpu = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(s3_endpoint_url=url)
        sources = (Source(name="all", uri="s3://images/set"),)
        found = list_sources(sources, settings, root=Path(folder))
        frame = found.frame
        LISTING.write(frame, Path(folder) / "listing.parquet")
        assert len(frame) == n_keys
        before = LISTING.read(Path(folder) / "listing.parquet")
        [news] = news_of(sources, before.iloc[: n_keys // 2], found)  # half of them are new
        assert sum(news.added.values()) == n_keys - n_keys // 2
    return {
        "cpu_s": round(time.process_time() - cpu, 1),
        "wall_s": round(time.monotonic() - began, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, 1),
        "imports_mb": round(imports_mb, 1),
    }


def serve(n_keys: int) -> None:
    """Answer until terminated; says its address first."""
    _Pages.n_keys = n_keys
    server = HTTPServer(("127.0.0.1", 0), _Pages)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    n_keys = 0

    def do_GET(self) -> None:
        """Give the page that begins where the token says."""
        query = parse_qs(urlsplit(self.path).query)
        start = int(query.get("continuation-token", ["0"])[0])
        stop = min(start + PAGE, self.n_keys)
        entries = "".join(map(_entry, range(start, stop)))
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


def _entry(number: int) -> str:
    key = f"set/class_{number // PAGE:04d}/image_{number:08d}.jpg"
    return (
        f"<Contents><Key>{key}</Key><LastModified>2026-11-30T16:12:26.000Z</LastModified>"
        f"<ETag>&quot;{number:032x}&quot;</ETag><Size>{100_000 + number % 1000}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


if __name__ == "__main__":
    main()
