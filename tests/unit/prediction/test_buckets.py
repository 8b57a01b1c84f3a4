"""A bucket that another process reads: pages of its listing, its errors, its death."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from pipeline_lib.errors import Interrupted, SourceMissing
from pipeline_lib.prediction import buckets
from pipeline_lib.prediction.buckets import BucketElsewhere, BucketProcess
from pipeline_lib.settings import Settings
from pipeline_lib.sources.objects import SourceObject

SIZE_BYTES = 20


class FewObjects:
    """A place of five objects, which says in which process it is."""

    def list(self) -> Iterator[SourceObject]:
        for n in range(5):
            yield SourceObject(f"{n}.jpg", SIZE_BYTES, etag=str(os.getpid()))

    def look(self, wanted: SourceObject) -> SourceObject:
        raise SourceMissing("no such object", file=wanted.key, value="404", remedy="run again")

    def read_part(self, wanted: SourceObject, *, start: int, size_bytes: int) -> bytes:
        return wanted.key.encode()[start : start + size_bytes]

    def read(self, wanted: SourceObject) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b""


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketProcess]:
    monkeypatch.setattr(buckets, "open_bucket", lambda address, settings: FewObjects())
    monkeypatch.setattr(buckets, "PAGE_OBJECTS", 2)
    process = BucketProcess(Settings())
    yield process
    process.end()


def test_two_listings_at_once_are_read_to_their_ends_in_one_other_process(
    process: BucketProcess,
) -> None:
    place = BucketElsewhere("gs://images/set/", process)

    both = list(zip(place.list(), place.list(), strict=True))

    assert [one.key for one, _ in both] == [f"{n}.jpg" for n in range(5)]
    assert [one.key for _, one in both] == [f"{n}.jpg" for n in range(5)]
    assert len({one.etag for pair in both for one in pair} - {str(os.getpid())}) == 1


def test_bytes_and_errors_come_from_there_and_a_death_is_said(process: BucketProcess) -> None:
    place, one = BucketElsewhere("gs://images/set/", process), SourceObject("photo.jpg", SIZE_BYTES)

    assert place.read_part(one, start=2, size_bytes=3) == b"oto"
    with pytest.raises(SourceMissing, match=r"photo.jpg: no such object"):
        place.look(one)
    with pytest.raises(Interrupted, match="lists buckets was killed .found: SIGKILL"):
        place.read(one)
    assert place.read_part(one, start=0, size_bytes=1) == b"p", "a new process answers"
