"""Objects on S3 that change or go after they were listed: no bytes of two versions are ever mixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.errors import BadData, SourceChanged, SourceMissing
from pipeline_lib.sources import arriving, object_bytes
from pipeline_lib.sources.arriving import Arriving
from testing.s3_server import BUCKET, S3Server
from testing.sources import Taken, images, tar_of
from tests.service.s3.asking import place_at
from tests.support.replaced_objects import put_before_the_first_read

pytestmark = pytest.mark.service


def test_an_object_put_again_after_the_listing_is_never_mixed_in(server: S3Server) -> None:
    server.put({"set/a.jpg": b"first"})
    place, listed_object = place_at(server.url, f"s3://{BUCKET}/set")
    server.put({"set/a.jpg": b"again"})

    expected = rf"s3://{BUCKET}/set/a.jpg: the object changed after it was listed .*412.*Remedy: run again: `dvc repro`"
    with pytest.raises(BadData, match=expected.replace("412", "PreconditionFailed")):
        place.read(listed_object)


def test_an_archive_put_again_between_two_parts_is_never_spliced(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "PIECE_BYTES", 1000)
    server.put({"pics.tar": b"a" * 5000})
    place, listed_object = place_at(server.url, f"s3://{BUCKET}/pics.tar")

    read: Callable[..., Any] = object_bytes.Objects._chunks
    n_parts = iter(range(5))

    def put_again_before_the_second(*arguments: Any) -> Any:
        if next(n_parts) == 1:  # in the reader itself: told of a part, another thread has read on
            server.put({"pics.tar": b"b" * 5000})
        return read(*arguments)

    monkeypatch.setattr(object_bytes.Objects, "_chunks", put_again_before_the_second)

    with pytest.raises(BadData, match="the object changed after it was listed"):
        place.fetch(
            listed_object,
            Arriving(tmp_path / "pics.tar", listed_object.size_bytes),
            workers=1,
            step=lambda _: None,
        )


@pytest.mark.parametrize("uri", ["set", "set.tar"])
def test_an_object_put_again_while_it_is_read_is_started_again(
    server: S3Server,
    take: Callable[..., Taken],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    uri: str,
) -> None:
    files = {f"set/{name}": data for name, data in images(12).items()}
    archive = tar_of(tmp_path / "set.tar", images(12)).read_bytes()
    server.put({**files, "set.tar": archive})
    again = images(12) | {"0/0000.jpg": b"better"}
    replaced = {
        "set/0/0000.jpg": b"better",
        "set.tar": tar_of(tmp_path / "again.tar", again).read_bytes(),
    }
    put_before_the_first_read(monkeypatch, server.put, replaced)

    with pytest.raises(
        SourceChanged, match="the source changed during the run .*objects already read are kept"
    ):
        take({"uri": f"s3://{BUCKET}/{uri}"})
    taken = take({"uri": f"s3://{BUCKET}/{uri}"})

    assert taken.read("pics/0/0000.jpg") == b"better"


def test_an_object_withdrawn_after_the_listing_is_named(server: S3Server) -> None:
    server.put({"set/a.jpg": b"first"})
    place, listed_object = place_at(server.url, f"s3://{BUCKET}/set")
    server.client.delete_object(Bucket=BUCKET, Key="set/a.jpg")

    with pytest.raises(
        SourceMissing,
        match=rf"s3://{BUCKET}/set/a.jpg: no such object on S3 .*if it was removed just now, run",
    ):
        place.read(listed_object)


def test_a_put_again_object_is_another_version_in_the_next_run(
    server: S3Server, take: Callable[..., Taken]
) -> None:
    server.put(images(12), "set/")
    take({"uri": f"s3://{BUCKET}/set"}, "first")
    server.put({"set/0/0000.jpg": b"better"})

    assert take({"uri": f"s3://{BUCKET}/set"}, "second").read("pics/0/0000.jpg") == b"better"
