"""Transfers from S3 that break off, end early or fill the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_lib.errors import BadData, ServiceUnavailable, SourceChanged
from pipeline_lib.sources import arriving
from pipeline_lib.sources.arriving import Arriving
from testing.s3_server import BUCKET, S3Server
from tests.service.s3.asking import gets, only_gets, place_at
from tests.support.flaky_proxy import WHOLE, Busy, Cut, Drop, Fault, FlakyProxy, Short, Without

pytestmark = pytest.mark.service


@pytest.mark.parametrize("fault", [Cut(4000), Drop(), Busy(503), Busy(500), Short(1)])
def test_a_transfer_that_breaks_off_goes_on_and_gives_the_same_bytes(
    server: S3Server, tmp_path: Path, fault: Fault
) -> None:
    data = bytes(range(256)) * 100
    server.put({"a.tar": data})

    with FlakyProxy(server.url, only_gets(fault)) as proxy:
        place, listed_object = place_at(proxy.url, f"s3://{BUCKET}/a.tar")
        place.fetch(
            listed_object,
            Arriving(tmp_path / "a.tar", listed_object.size_bytes),
            workers=1,
            step=lambda _: None,
        )

        assert (tmp_path / "a.tar").read_bytes() == data
        assert len(gets(proxy)) >= 2
        assert all("If-Match" in one.headers for one in gets(proxy))


def test_a_full_disk_ends_a_transfer_at_once(server: S3Server) -> None:
    server.put({"a.tar": bytes(100_000)})

    with FlakyProxy(server.url, lambda _: None) as proxy:
        place, listed_object = place_at(proxy.url, f"s3://{BUCKET}/a.tar")
        with pytest.raises(OSError, match="No space left on device"):
            place.fetch(
                listed_object,
                Arriving(Path("/dev/full"), listed_object.size_bytes),
                workers=1,
                step=lambda _: None,
            )
        assert len(gets(proxy)) == 1


def test_a_transfer_that_never_comes_further_ends_in_one_line(server: S3Server) -> None:
    server.put({"a.jpg": b"0123456789"})

    with FlakyProxy(server.url, only_gets(*[Short(1)] * 9)) as proxy:
        place, listed_object = place_at(proxy.url, f"s3://{BUCKET}/")
        with pytest.raises(
            BadData,
            match=r"a.jpg: S3 sends a different size than it listed \(found: 9 instead of 10 bytes\)",
        ):
            place.read(listed_object)


def test_a_server_that_ignores_ranges_is_read_from_byte_0_and_one_that_ignores_preconditions_found_out(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "PIECE_BYTES", 1000)
    data = bytes(range(256)) * 20
    server.put({"a.tar": data})

    with FlakyProxy(server.url, lambda _: WHOLE) as proxy:
        place, listed_object = place_at(proxy.url, f"s3://{BUCKET}/a.tar")
        done: list[int] = []
        place.fetch(
            listed_object,
            Arriving(tmp_path / "a.tar", listed_object.size_bytes),
            workers=2,
            step=done.append,
        )
        assert (tmp_path / "a.tar").read_bytes() == data
        assert sum(done) == len(data)
        with pytest.raises(
            ServiceUnavailable,
            match=r"the server ignores ranges .*Remedy: copy the object to a local file",
        ):
            place.read_part(listed_object, start=2, size_bytes=3)
    with FlakyProxy(server.url, lambda _: Without("If-Match")) as proxy:
        place, listed_object = place_at(proxy.url, f"s3://{BUCKET}/a.tar")
        server.put({"a.tar": data[::-1]})
        with pytest.raises(SourceChanged, match="the object changed after it was listed"):
            place.read(listed_object)
