"""Archives that would fill memory or disk: what is refused, and with which key to raise."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_lib.download.params import DownloadParams
from pipeline_lib.errors import BadData
from pipeline_lib.shards import limits
from testing.sources import SMALL_SHARDS, Take, tar_of
from tests.unit.shards.zips import deflated_zip

TIGHT = SMALL_SHARDS.model_copy(
    update={"max_file_bytes": 1_000_000, "max_unpacked_bytes": 3_000_000}
)


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "zip", "folder"])
def test_a_file_over_the_limit_is_refused_by_name_and_never_read(
    take: Take, tmp_path: Path, ending: str
) -> None:
    files = {"a/big.jpg": bytes(1_000_001), "a/ok.jpg": b"data", "a/most.jpg": bytes(1_000_000)}
    if ending == "zip":
        with zipfile.ZipFile(tmp_path / "pics.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    elif ending == "folder":
        for name, data in files.items():
            (tmp_path / "pics.folder" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "pics.folder" / name).write_bytes(data)
    else:
        tar_of(tmp_path / f"pics.{ending}", files, mode="w:gz" if ending == "tar.gz" else "w")

    taken = take({"uri": f"pics.{ending}"}, params=TIGHT)

    assert taken.members["refusal"].dropna().to_dict() == {"pics/a/big.jpg": "file_too_large"}
    assert taken.members.loc["pics/a/big.jpg", "size_bytes"] == 1_000_001
    assert taken.read("pics/a/most.jpg") == files["a/most.jpg"]


def test_an_inner_tar_over_the_limit_is_no_file_and_is_walked(take: Take, tmp_path: Path) -> None:
    inner = tar_of(tmp_path / "in" / "n01.tar", {f"{n}.JPEG": bytes(400_000) for n in range(4)})
    tar_of(tmp_path / "train.tar", {"n01.tar": inner.read_bytes()})

    assert take({"uri": "train.tar"}, params=TIGHT).members["refusal"].isna().all()


@pytest.mark.parametrize("ending", ["tar.gz", "tar.bz2", "tar.xz", "zip"])
def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused_with_the_key_to_raise(
    take: Take, tmp_path: Path, ending: str
) -> None:
    files = {f"a/{n}.jpg": bytes(900_000) for n in range(4)}
    if ending == "zip":
        with zipfile.ZipFile(tmp_path / "pics.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        tar_of(tmp_path / f"pics.{ending}", files, mode=f"w:{ending[4:]}")

    expected = (
        r"unpacks to more than 3000000 bytes.*raise download\.max_unpacked_bytes in params\.yaml"
    )
    with pytest.raises(BadData, match=expected):
        take({"uri": f"pics.{ending}"}, params=TIGHT)

    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("ending", ["tar.gz", "zip"])
def test_an_archive_that_unpacks_to_200_times_its_size_is_refused(
    take: Take, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SMALL_BYTES", 1_000_000)
    if ending == "zip":
        deflated_zip(tmp_path / "pics.zip", "a/x.jpg", 2_000_000)
    else:
        tar_of(tmp_path / "pics.tar.gz", {"a/x.jpg": bytes(2_000_000)}, mode="w:gz")

    with pytest.raises(
        BadData, match=r"more than 200 times its size.*raise download\.max_unpacked_ratio in params"
    ):
        take({"uri": f"pics.{ending}"})

    assert (
        take(
            {"uri": f"pics.{ending}"}, params=DownloadParams(max_unpacked_ratio=1100)
        ).members.shape[0]
        <= 2
    )


def test_a_deflated_member_is_never_whole_in_memory(take: Take, tmp_path: Path) -> None:
    deflated_zip(tmp_path / "pics.zip", "a/x.jpg", 200_000_000)

    peak = peak_bytes(lambda: take({"uri": "pics.zip"}, params=DownloadParams()))

    assert peak < 80_000_000


def peak_bytes(work: Callable[[], object]) -> int:
    import tracemalloc

    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
