"""An archive that lost members stops the run, unless few went or a person accepted it: `discover` sees one object."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipeline_lib.errors import DataCheckFailed
from pipeline_lib.sources.withdrawn import decision, other_address
from testing.sources import PARAMS, Take, images, tar_of

Nightly = Callable[..., None]


@pytest.fixture
def nightly(take: Take, tmp_path: Path) -> Nightly:
    """Take one source; when that succeeds, keep what it read and wrote as DVC does: in the cache, named by dvc.lock."""

    def nightly(uri: str, accepted: str | None = None) -> None:
        (tmp_path / "params.yaml").write_text(PARAMS)
        if accepted:
            wanted = f"uri: pics}}], withdrawn_accepted: '{accepted}'}}"
            (tmp_path / "params.yaml").write_text(PARAMS.replace("uri: pics}]}", wanted))
        take({"uri": uri, "layout": "leaf_folders"})
        paths = {"deps": "sources.json", "outs": "out/members.parquet"}
        (tmp_path / "dvc.lock").write_text(
            yaml.safe_dump(
                {"stages": {"download": {part: [cached(path)] for part, path in paths.items()}}}
            )
        )

    def cached(path: str) -> dict[str, str]:
        data = (tmp_path / path).read_bytes()
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        file = tmp_path / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return {"path": path, "md5": md5}

    return nightly


def accepted_by(error: pytest.ExceptionInfo[DataCheckFailed]) -> str:
    found = re.search(
        r"discover.withdrawn_accepted: '([0-9a-f]{8})' in params.yaml", error.value.remedy
    )
    assert found
    return found[1]


def without(files: dict[str, bytes], n: int) -> dict[str, bytes]:
    return dict(list(files.items())[n:])


@pytest.mark.parametrize("state_is_new", [False, True])
def test_an_archive_that_shrank_stops_the_run_and_names_what_went(
    nightly: Nightly, tmp_path: Path, state_is_new: bool
) -> None:
    files = images(60)
    tar_of(tmp_path / "pics.tar", files)
    nightly("pics.tar")
    if state_is_new:  # the last run's members stand in
        for file in (tmp_path / ".perennial" / "held").rglob("*.parquet"):
            file.unlink()
    tar_of(tmp_path / "pics.tar", without(files, 20))

    expected = r"source pics: 20 of 60 objects are gone \(0: 10, 1: 10\), such as 0/0000.jpg"
    with pytest.raises(DataCheckFailed, match=expected) as refused:
        nightly("pics.tar")
    with pytest.raises(
        DataCheckFailed, match=expected
    ):  # and the accident is not the state to compare with
        nightly("pics.tar")

    nightly("pics.tar", accepted_by(refused))
    nightly("pics.tar")


def test_members_that_go_a_few_each_night_add_up(nightly: Nightly, tmp_path: Path) -> None:
    files = images(100)
    tar_of(tmp_path / "pics" / "a.tar", files)
    nightly("pics")
    tar_of(tmp_path / "pics" / "a.tar", without(files, 4))
    nightly("pics")
    tar_of(tmp_path / "pics" / "a.tar", without(files, 8))

    with pytest.raises(
        DataCheckFailed, match=r"source pics: 8 of 100 objects are gone \(a/0: 4, a/1: 4\)"
    ):
        nightly("pics")


def test_the_next_release_of_an_archive_is_compared_by_its_members(
    nightly: Nightly, tmp_path: Path
) -> None:
    files = images(60)
    tar_of(tmp_path / "v1.tar", files)
    tar_of(tmp_path / "v2.tar", files | {f"2/{n}.jpg": bytes([n]) * 50 for n in range(30)})
    tar_of(tmp_path / "other.tar", {f"buses/{n}.jpg": bytes([n]) * 60 for n in range(30)})
    nightly("v1.tar")
    nightly("v2.tar")

    with pytest.raises(
        DataCheckFailed, match=r"source pics: at other.tar, named in place of v2.tar, 90 of 90"
    ) as other:
        nightly("other.tar")
    assert accepted_by(other) == decision([other_address("pics", "v2.tar", "other.tar")])
    nightly("other.tar", accepted_by(other))


def test_members_of_an_archive_that_discover_was_asked_about_are_not_asked_for_again(
    nightly: Nightly, tmp_path: Path
) -> None:
    tar_of(tmp_path / "pics" / "a.tar", images(60))
    tar_of(tmp_path / "pics" / "b.tar", images(30, size_bytes=400))
    nightly("pics")
    (tmp_path / "pics" / "b.tar").unlink()

    nightly("pics")
