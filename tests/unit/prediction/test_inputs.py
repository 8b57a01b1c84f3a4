"""What names mean, and that nothing of them is held."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.errors import PipelineError, UsageError
from pipeline_lib.harness.work_in_order import Pause
from pipeline_lib.prediction.inputs import named_items, refuse_empty
from pipeline_lib.prediction.items import Faulty, Held, Item, Part, Reader
from pipeline_lib.prediction.piped_names import piped_names
from pipeline_lib.settings import Settings
from pipeline_lib.shards.limits import ArchiveLimits

FILES = {f"{name}.png": b"\x89PNG\r\n\x1a\n" + name.encode() * 2000 for name in ("c/1", "c/2", "d")}
READER = Reader(Settings(), ArchiveLimits(20_000, 1 << 20, 200))


def tar_of(files: dict[str, bytes], kind: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=kind) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def zip_of(files: dict[str, bytes], packing: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


ARCHIVES = {
    "x.tar": tar_of(FILES),
    "x.tar.gz": tar_of(FILES, "w:gz"),
    "x.tbz2": tar_of(FILES, "w:bz2"),
    "x.txz": tar_of(FILES, "w:xz"),
    "stored.zip": zip_of(FILES, zipfile.ZIP_STORED),
    "x.zip": zip_of(FILES, zipfile.ZIP_DEFLATED),
    "lzma.zip": zip_of(FILES, zipfile.ZIP_LZMA),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def items(*names: str, stdin: int = -1, nul: bool = False) -> list[Item]:
    found = named_items(names, READER, stdin=stdin, nul=nul)
    return [item for item in found if not isinstance(item, Pause)]


def said(found: list[Item]) -> dict[str, Any]:
    """What rows call each item, and its bytes or its fault."""
    answers: dict[str, Any] = {}
    for item in found:
        try:
            answers[item.name] = item.read(READER)
        except PipelineError as fault:
            answers[item.name] = fault.what
    return answers


def piped(text: bytes) -> int:
    """A file of this text; the test ends before the process does."""
    end, start = os.pipe()
    os.write(start, text)
    os.close(start)
    return end


@pytest.mark.parametrize("name", ARCHIVES)
def test_the_members_of_an_archive_are_read_in_its_order(name: str, here: Path) -> None:
    (here / name).write_bytes(ARCHIVES[name])

    found = items(name)

    assert list(said(found).items()) == [(f"{name}/{key}", FILES[key]) for key in FILES]
    assert {type(item) for item in found} == {Part if name in ("x.tar", "stored.zip") else Held}


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
def test_a_tar_inside_is_a_folder(name: str, here: Path) -> None:
    inner = tar_of({"1.png": FILES["d.png"]})
    whole = tar_of({"n01.tar": inner, "z.png": b"last"}, "w:gz" if name.endswith("gz") else "w")
    (here / name).write_bytes(whole)

    assert said(items(name)) == {f"{name}/n01/1.png": FILES["d.png"], f"{name}/z.png": b"last"}


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tbz2", "x.txz"])
def test_an_archive_that_is_cut_off_gives_what_is_before_the_cut_and_then_its_fault(
    name: str, here: Path
) -> None:
    files = {f"{n}.png": os.urandom(9000) for n in range(4)}
    kind = {"gz": "w:gz", "z2": "w:bz2", "xz": "w:xz"}.get(name[-2:], "w")
    (here / name).write_bytes(tar_of(files, kind)[:24_000])
    (here / "whole.png").write_bytes(b"whole")

    found = said(items(name, "whole.png"))

    assert "is cut off or damaged" in found.pop(name)
    assert found.pop("whole.png") == b"whole"
    # bzip2 gives a block of 900 kB, or nothing
    assert found == {f"{name}/{n}.png": files[f"{n}.png"] for n in range(0 if "bz2" in name else 2)}


def test_a_damaged_member_of_a_zip_is_a_fault_of_its_own(here: Path) -> None:
    for name in ("stored.zip", "x.zip"):
        damaged = bytearray(ARCHIVES[name])
        damaged[60] ^= 1
        (here / name).write_bytes(damaged)

        found = said(items(name))

        assert "damaged" in found.pop(f"{name}/c/1.png")
        assert found == {f"{name}/{key}": FILES[key] for key in ("c/2.png", "d.png")}


def test_links_climbing_names_and_large_files_are_faults_and_other_files_are_left_out(
    here: Path,
) -> None:
    files = {"../up.png": b"u", "big.png": bytes(20_001), "README.md": b"r", "__MACOSX/._a": b"m"}
    (here / "x.tar").write_bytes(tar_of(files | {"a.png": b"a"}))
    (here / "x.zip").write_bytes(zip_of(files | {"a.png": b"a"}, zipfile.ZIP_DEFLATED))

    for name in ("x.tar", "x.zip"):
        assert said(items(name)) == {
            f"{name}/../up.png": "not taken: tar_unsafe_member",
            f"{name}/big.png": "not taken: file_too_large",
            f"{name}/a.png": b"a",
        }


def test_a_bomb_is_refused_before_it_fills_the_memory(here: Path) -> None:
    bomb = {"a.png": b"a", "b.png": bytes(2 << 20)}
    (here / "x.tar.gz").write_bytes(tar_of(bomb, "w:gz"))
    (here / "x.zip").write_bytes(zip_of({f"{n}.png": bytes(15_000) for n in range(99)}, 8))

    found = said(items("x.tar.gz", "x.zip"))

    assert found.pop("x.tar.gz/a.png") == b"a"
    assert found.pop("x.tar.gz/b.png") == "not taken: file_too_large"
    assert [what[:40] for what in found.values()] == [
        "the archive unpacks to more than 1048576"
    ] * 2
    assert list(found) == ["x.tar.gz", "x.zip"]


def test_a_folder_is_listed_as_it_goes_with_its_archives(here: Path) -> None:
    for name in ("photos/b.png", "photos/sub/a.png", "photos/README", "photos/.hidden.png"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(name.encode())
    (here / "photos/c.tar").write_bytes(ARCHIVES["x.tar"])
    (here / "photos/gone.png").symlink_to("nowhere")

    found = said(items("photos", "photos/b.png", "photos/*.png"))

    assert list(found) == [
        "photos/b.png",
        *(f"photos/c.tar/{key}" for key in FILES),
        "photos/gone.png",
        "photos/sub/a.png",
    ]
    assert found["photos/gone.png"] == "not taken: broken_link"


def test_what_holds_no_image_is_refused_before_the_work(here: Path) -> None:
    (here / "empty").mkdir()
    for name in ("empty", "empty/*.jpg"):
        with pytest.raises(UsageError, match="no image is there"):
            refuse_empty([name], READER)
    (here / "x.tar").write_bytes(tar_of({}))

    (item,) = items("x.tar")

    assert isinstance(item, Faulty) and "x.tar: no image is there" in str(item.fault)


def test_names_on_standard_input_are_one_a_line_and_as_they_are_spelled(here: Path) -> None:
    for name in ("a b.png", "[1].png", "~.png", os.fsdecode(b"\xff.png")):
        (here / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    (here / "x.tar").write_bytes(ARCHIVES["x.tar"])
    (here / "folder").mkdir()
    lines = b"a b.png\r\n\n[1].png\n~.png\n\xff.png\na b.png\nx.tar\nfolder\ngone.png"

    names = [item.name for item in items("-", stdin=piped(lines))]
    nul = [item.name for item in items("-", stdin=piped(b"a b.png\0a\nb.png\0"), nul=True)]

    tar = [f"x.tar/{key}" for key in FILES]
    assert names == [
        "a b.png",
        "[1].png",
        "~.png",
        "\udcff.png",
        "a b.png",
        *tar,
        "folder",
        "gone.png",
    ]
    assert nul == ["a b.png", "a\nb.png"]
    assert "a folder among the names" in said(items("-", stdin=piped(b"folder")))["folder"]


@pytest.mark.parametrize("text", [b"\xff\xd8\xff\xe0\0\x10JFIF", b"a.png\0b.png\0", b"x" * 70_000])
def test_bytes_that_are_no_names_are_refused(text: bytes, here: Path) -> None:
    (here / "x").write_bytes(text)

    with (
        (here / "x").open("rb") as file,
        pytest.raises(UsageError, match=r"no list of names .*find photos -type f"),
    ):
        items("-", stdin=file.fileno())


def test_no_name_on_standard_input_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    assert items("-", stdin=piped(b"\n")) == []
    assert "standard input holds no name" in caplog.text


def test_a_pipe_that_goes_on_gives_names_as_they_come() -> None:
    end, start = os.pipe()
    names = piped_names(end, nul=False)
    os.write(start, b"a.png\nb.p")
    assert [next(names), next(names)] == ["a.png", Pause(end)]
    os.write(start, b"ng\n")
    assert [next(names), next(names)] == ["b.png", Pause(end)]
    os.close(start)
    assert list(names) == []


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("ftp://host/a.jpg", "name a local path, s3://"),
        ("gcs://b/a.jpg", "name gs://bucket/prefix"),
    ],
)
def test_addresses_of_no_kind_that_is_read_are_refused(name: str, remedy: str, here: Path) -> None:
    (by_name,) = items(name)
    (piped_in,) = items("-", stdin=piped(name.encode() + b"\n"))

    for item in (by_name, piped_in):
        assert isinstance(item, Faulty)
        assert item.fault.what == f"{name.partition(':')[0]}:// cannot be read"
        assert item.fault.remedy.startswith(remedy)


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_a_bucket_without_a_name_is_refused_before_anything_is_opened(scheme: str) -> None:
    assert said(items(f"{scheme}://")) == {f"{scheme}://": "no bucket is named"}
    assert said(items(f"{scheme}:///a.jpg")) == {
        f"{scheme}:///a.jpg": "no bucket or no key is named"
    }
