"""Transfers of one archive that were interrupted: the next run brings what is missing, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.download.unfinished import Unfinished
from pipeline_lib.errors import ArchiveDamaged, ObjectRefused
from pipeline_lib.sources import arriving
from pipeline_lib.sources.objects import SourceObject
from testing.sources import Take, images, tar_of
from tests.support.certificates import own_authority
from tests.support.flaky_proxy import Busy, Cut, FlakyProxy, in_turn
from tests.support.web_server import WebServer

PIECE = 4096


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "PIECE_BYTES", PIECE)


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    return tar_of(tmp_path / "made" / "x.tar", images(40, size_bytes=700)).read_bytes()


@pytest.fixture
def server(archive: bytes) -> Iterator[WebServer]:
    with WebServer({"x.tar": archive}) as server:
        yield server


@pytest.fixture
def proxy(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FlakyProxy]:
    """TLS in front of the server; the first transfer ends within the third piece."""
    monkeypatch.setattr("pipeline_lib.sources.web.exchange.PAUSE_S", 0)
    authority, context = own_authority(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    breaks = in_turn([None, Cut(2 * PIECE + 2000), Busy(403)])
    with FlakyProxy(server.url, breaks, context=context) as proxy:
        yield proxy


def break_off(take: Take, proxy: FlakyProxy) -> None:
    with pytest.raises(ObjectRefused):
        take({"uri": f"{proxy.url}/x.tar"})
    proxy.choose = in_turn([])
    proxy.requests.clear()


def ranges(proxy: FlakyProxy) -> list[str | None]:
    return [one.headers["Range"] for one in proxy.requests if one.method == "GET"]


def left_in(folder: Path) -> list[Path]:
    return sorted((folder / ".perennial" / "unfinished").iterdir())


def test_the_next_run_brings_the_missing_part_of_the_same_version(
    take: Take, tmp_path: Path, proxy: FlakyProxy, archive: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    break_off(take, proxy)
    caplog.set_level("INFO")

    taken = take({"uri": f"{proxy.url}/x.tar"})

    assert ranges(proxy) == [f"bytes={2 * PIECE}-{len(archive) - 1}"]
    assert all("If-Match" in one.headers for one in proxy.requests if one.method == "GET")
    assert (
        f"x.tar: {2 * PIECE} of {len(archive)} bytes are there from an interrupted run"
        in caplog.text
    )
    [container] = (taken.folder / "shards").iterdir()
    assert container.read_bytes() == archive
    assert left_in(tmp_path) == []


def test_another_version_begins_anew_and_what_nobody_wants_any_more_goes(
    take: Take, tmp_path: Path, server: WebServer, proxy: FlakyProxy, archive: bytes
) -> None:
    break_off(take, proxy)
    server.files["x.tar"] = archive + bytes(512)

    taken = take({"uri": f"{proxy.url}/x.tar"})

    assert ranges(proxy) == [None]
    [container] = (taken.folder / "shards").iterdir()
    assert container.read_bytes() == archive + bytes(512)
    assert left_in(tmp_path) == []


def test_a_piece_that_never_reached_the_disk_is_fetched_again(
    take: Take, tmp_path: Path, proxy: FlakyProxy, archive: bytes
) -> None:
    break_off(take, proxy)
    [file, _] = left_in(tmp_path)
    with file.open("r+b") as opened:  # zeros, as some file systems leave after the power fails
        opened.seek(PIECE + 100)
        opened.write(bytes(50))

    taken = take({"uri": f"{proxy.url}/x.tar"})

    assert ranges(proxy) == [f"bytes={PIECE}-{len(archive) - 1}"]
    [container] = (taken.folder / "shards").iterdir()
    assert container.read_bytes() == archive


def test_an_archive_that_came_whole_and_is_damaged_does_not_stay(
    take: Take, tmp_path: Path, server: WebServer, proxy: FlakyProxy, archive: bytes
) -> None:
    break_off(take, proxy)
    server.files["x.tar"] = archive[: len(archive) // 2]

    with pytest.raises(ArchiveDamaged):
        take({"uri": f"{proxy.url}/x.tar"})

    assert left_in(tmp_path) == []


def test_a_transfer_in_another_run_is_left_alone(tmp_path: Path) -> None:
    unfinished, wanted = Unfinished(tmp_path / "state"), SourceObject("x.tar", 10, etag="1")
    with unfinished.arriving("s3://a", wanted, tmp_path) as first:
        Unfinished(tmp_path / "state").forget_but([])
        with unfinished.arriving("s3://a", wanted, tmp_path) as second:
            assert second.path.parent == tmp_path != first.path.parent
        assert first.path.exists()

    assert not first.path.exists()


def test_a_copy_of_a_local_archive_that_was_stopped_goes_on(
    take: Take, tmp_path: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline_lib.download.archives._cloned", lambda *_: False)
    monkeypatch.setattr("pipeline_lib.download.archives.CHUNK_BYTES", PIECE // 2)
    (tmp_path / "x.tar").write_bytes(archive)
    starts: list[int] = []
    write = arriving.Arriving.write

    def stop_in_the_third(self: arriving.Arriving, chunk: Any, position: int) -> None:
        starts.append(position)
        if len(starts) == 6:
            raise KeyboardInterrupt
        write(self, chunk, position)

    monkeypatch.setattr(arriving.Arriving, "write", stop_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        take({"uri": "x.tar"})

    taken = take({"uri": "x.tar"})

    assert starts[6] == 2 * PIECE
    [container] = (taken.folder / "shards").iterdir()
    assert container.read_bytes() == archive
