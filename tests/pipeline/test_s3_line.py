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

import boto3
import pytest
from moto.server import ThreadedMotoServer

from testing.checkout import Checkout, commit


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
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
    )
    client = session.client("s3", endpoint_url=url)
    for bucket in ("images", "store"):
        client.create_bucket(Bucket=bucket)
    yield Buckets(url, client)
    server.stop()


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
