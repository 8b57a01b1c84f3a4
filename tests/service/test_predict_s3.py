"""perennial predict on objects of a bucket: a real S3 server (moto, on loopback), the real command."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import sklearn
from moto.server import ThreadedMotoServer
from PIL import Image

from flows.cli.parser import main

pytestmark = pytest.mark.service


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """A bucket with images, an archive and what is no image; the names of the images by their keys."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "PERENNIAL_S3_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
    client.create_bucket(Bucket="pics")
    photo = Image.open(Path(sklearn.__file__).parent / "datasets/images/flower.jpg")
    stream, packed = io.BytesIO(), io.BytesIO()
    photo.resize((160, 120)).save(stream, "JPEG")
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("a.jpg")
        member.size = len(stream.getvalue())
        archive.addfile(member, io.BytesIO(stream.getvalue()))
    keys = {f"set/{n:02}.jpg": stream.getvalue() for n in range(20)}
    keys |= {"set/x.tar.gz": packed.getvalue(), "set/readme.txt": b"x", "set/y.jpg": b"no image"}
    for key, data in keys.items():
        client.put_object(Bucket="pics", Key=key, Body=data)
    yield [*(f"s3://pics/set/{n:02}.jpg" for n in range(20)), "s3://pics/set/x.tar.gz/a.jpg"]
    server.stop()


def test_a_prefix_with_an_archive_is_predicted_by_several_workers_and_faults_are_rows(
    bucket: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PERENNIAL_WORKERS", "3")
    named = ["s3://pics/set", "s3://pics/set/gone.jpg"]

    code = main(["predict", "--model", "builtin", "--json", *named])

    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["file"] for row in rows] == [*bucket, "s3://pics/set/y.jpg", named[1]]
    assert code == 66
    assert all("guesses" in row for row in rows[:-2])
    assert "not_image" in rows[-2]["fault"]["message"]
    assert "Remedy: check the address, and s3_endpoint_url" in rows[-1]["fault"]["message"]


def test_a_bucket_that_is_not_there_is_named_before_anything_is_written(
    bucket: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["predict", "--model", "builtin", "s3://nothing/x", "--out", "x.csv"]

    assert main(words) == 66
    assert "no such bucket" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
