"""Images in a bucket, data pushed to a bucket, through `perennial run`, against a real S3 server.

The images are those of the finished line, so that what lies between download and register comes from the cache.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from testing.checkout import Checkout, commit
from testing.s3_server import s3_server


@dataclass(frozen=True)
class Buckets:
    """A server on loopback with two buckets, `images` and `store`."""

    url: str
    client: Any

    def keys(self, bucket: str) -> list[str]:
        return [
            entry["Key"] for entry in self.client.list_objects_v2(Bucket=bucket).get("Contents", [])
        ]


@pytest.fixture
def buckets() -> Iterator[Buckets]:
    with s3_server("images", "store") as server:
        yield Buckets(server.url, server.client)


@pytest.fixture
def on_s3(line: Checkout, buckets: Buckets) -> Checkout:
    """A committed checkout whose source is an archive in one bucket and whose DVC remote is the other; no registry."""
    shutil.rmtree(line.folder / ".perennial")
    line.run(
        "git", "tag", "--delete", *line.run("git", "tag").output.split()
    )  # from which it would be rebuilt
    buckets.client.upload_file(
        str(line.folder / "demo/out/digits.tar"), "images", "2026/digits.tar"
    )
    params = line.folder / "params.yaml"
    params.write_text(
        params.read_text().replace("uri: demo/out/digits.tar", "uri: s3://images/2026/digits.tar")
    )
    line.python("dvc", "remote", "add", "--default", "store", "s3://store/dvc")
    line.python("dvc", "remote", "modify", "store", "endpointurl", buckets.url)
    commit(line, "Images and data in S3")
    return line


def test_a_run_reads_its_images_from_s3_and_pushes_its_data_and_a_fresh_clone_pulls_them_and_computes_nothing(
    on_s3: Checkout, buckets: Buckets, tmp_path: Path
) -> None:
    secret = "a-secret-that-must-not-be-written-anywhere"
    environment: dict[str, Any] = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "PERENNIAL_S3_ENDPOINT_URL": buckets.url,
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }

    said = on_s3.python("flows.cli", "run", **environment)

    assert "Promoted to champion" in said.output
    assert (
        "Running stage 'download'" in said.output and "Running stage 'inspect'" not in said.output
    )  # the same bytes
    lock = on_s3.run("git", "show", "perennial/line:dvc.lock").output
    assert any(key.startswith("dvc/files/md5/") for key in buckets.keys("store"))
    assert any(key.startswith("dvc/runs/") for key in buckets.keys("store"))
    clone = Checkout(tmp_path / "clone")
    on_s3.run("git", "clone", "-q", "--branch", "perennial/line", ".", str(clone.folder))
    clone.python("demo.plant")  # votes and subjects lie beside the checkout, not in the bucket
    clone.python("dvc", "pull", **environment)
    assert clone.repro(**environment).ran == ["discover", "register"]
    assert clone.lock() == lock.encode()
    assert (
        subprocess.run(
            ["grep", "-rl", secret, on_s3.folder], capture_output=True, check=False
        ).stdout
        == b""
    )
