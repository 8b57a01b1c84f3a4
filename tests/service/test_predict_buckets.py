"""perennial predict on objects of buckets: real servers on loopback (S3: moto; emulators of the clouds), the real command."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import sklearn
from PIL import Image

from testing.s3_server import environment, s3_server
from tests.support.emulators import BUCKET, Emulator, azure, google

pytestmark = pytest.mark.service
PATIENCE_S = 300


@dataclass(frozen=True)
class Bucket:
    """A bucket with images, an archive and what is no image. images: what rows call the images. environment: leads there."""

    scheme: str
    environment: Mapping[str, str]

    @property
    def images(self) -> list[str]:
        below = [*(f"{n:02}.jpg" for n in range(20)), "x.tar.gz/a.jpg"]
        return [f"{self.scheme}://{BUCKET}/set/{name}" for name in below]

    def predict(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command, in a process of its own: this one may have opened a store, and is forked then."""
        return subprocess.run(
            [sys.executable, "-m", "flows.cli", "predict", "--model", "builtin", *words],
            env={**os.environ, **self.environment, "PERENNIAL_WORKERS": "3"},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )


@contextlib.contextmanager
def on_s3(objects: Mapping[str, bytes], folder: Path) -> Iterator[Bucket]:
    with s3_server(BUCKET) as server:
        server.put(objects)
        address = {"PERENNIAL_S3_ENDPOINT_URL": server.url}
        yield Bucket("s3", {**environment(folder), **address})


@contextlib.contextmanager
def on_emulator(
    start: contextlib.AbstractContextManager[Emulator], objects: Mapping[str, bytes]
) -> Iterator[Bucket]:
    with start as emulator:
        emulator.put(objects)
        told = {f"PERENNIAL_{name.upper()}": said for name, said in emulator.settings().items()}
        yield Bucket(emulator.scheme, {**emulator.environment, **told})


@pytest.fixture(scope="module", params=["s3", "gs", "az"])
def bucket(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bucket]:
    photo = Image.open(Path(sklearn.__file__).parent / "datasets/images/flower.jpg")
    stream, packed = io.BytesIO(), io.BytesIO()
    photo.resize((160, 120)).save(stream, "JPEG")
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("a.jpg")
        member.size = len(stream.getvalue())
        archive.addfile(member, io.BytesIO(stream.getvalue()))
    objects = {f"set/{n:02}.jpg": stream.getvalue() for n in range(20)}
    objects |= {"set/x.tar.gz": packed.getvalue(), "set/readme.txt": b"x", "set/y.jpg": b"no image"}
    if request.param == "s3":
        opened = on_s3(objects, tmp_path_factory.mktemp("aws"))
    else:
        opened = on_emulator({"gs": google, "az": azure}[request.param](), objects)
    with opened as bucket:
        yield bucket


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_prefix_with_an_archive_is_predicted_by_several_workers_and_faults_are_rows(
    bucket: Bucket,
) -> None:
    gone = f"{bucket.scheme}://{BUCKET}/set/gone.jpg"

    done = bucket.predict("--json", f"{bucket.scheme}://{BUCKET}/set", gone)

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    y = f"{bucket.scheme}://{BUCKET}/set/y.jpg"
    assert [row["file"] for row in rows] == [*bucket.images, y, gone], done.stderr
    assert done.returncode == 66
    assert all("guesses" in row for row in rows[:-2])
    assert "not_image" in rows[-2]["fault"]["message"]
    assert "no such object on" in rows[-1]["fault"]["message"]
    assert "Remedy: check the address; if it was removed" in rows[-1]["fault"]["message"]


def test_objects_and_archives_are_named_on_standard_input(bucket: Bucket) -> None:
    names = [bucket.images[3], bucket.images[-1].removesuffix("/a.jpg")]

    done = bucket.predict("--json", "-", stdin="\n".join(names))

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["file"] for row in rows] == [bucket.images[3], bucket.images[-1]], done.stderr
    assert done.returncode == 0


def test_a_bucket_that_is_not_there_is_named_before_anything_is_written(
    bucket: Bucket, here: Path
) -> None:
    done = bucket.predict(f"{bucket.scheme}://absent/x", "--out", "x.csv")

    # fake-gcs-server lists an absent bucket with HTTP 500
    assert done.returncode == (69 if bucket.scheme == "gs" else 66), done.stderr
    assert f"{bucket.scheme}://absent/x/: " in done.stderr
    assert "discover.sources" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(here.iterdir()) == []
