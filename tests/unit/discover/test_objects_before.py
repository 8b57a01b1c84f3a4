"""What went from the sources since the last run stops the run, unless it is little or a person accepted it."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline_lib.errors import DataCheckFailed
from pipeline_lib.sources.withdrawn import decision, other_address

Discover = Callable[..., dict[str, Path]]
Nightly = Callable[..., dict[str, Path]]


@pytest.fixture
def nightly(discover: Discover, tmp_path: Path) -> Nightly:
    """Run discover; when it succeeds, keep its listing as DVC does: in the cache, named by dvc.lock."""

    def nightly(*sources: dict[str, Any], **params: Any) -> dict[str, Path]:
        written = discover(*sources, **params)
        data = written["listing"].read_bytes()
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        cached = tmp_path / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_bytes(data)
        named = {"discover": {"sources": [{"name": "pics", **source} for source in sources]}}
        outs = [{"path": "line/listing.parquet", "md5": md5}]
        lock = {"stages": {"discover": {"outs": outs, "params": {"params.yaml": named}}}}
        (tmp_path / "dvc.lock").write_text(yaml.safe_dump(lock))
        return written

    return nightly


def fill(folder: Path, classes: dict[str, int]) -> Path:
    for name, count in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for n in range(count):
            (folder / name / f"{n:03d}.jpg").write_bytes(f"{name} {n}".encode())
    return folder


def accepted_by(error: pytest.ExceptionInfo[DataCheckFailed]) -> str:
    found = re.search(
        r"discover.withdrawn_accepted: '([0-9a-f]{8})' in params.yaml", error.value.remedy
    )
    assert found
    return found[1]


def test_half_a_folder_gone_stops_the_run_and_names_it(nightly: Nightly, tmp_path: Path) -> None:
    pics = fill(tmp_path / "pics", {"cats": 30, "dogs": 70})
    nightly({"uri": "pics"})
    kept = [path.read_bytes() for path in (tmp_path / ".perennial" / "listing").iterdir()]
    shutil.move(pics / "cats", tmp_path / "cats")

    with pytest.raises(
        DataCheckFailed,
        match=r"rate = 0.05 allows \(found: source pics: 30 of 100 objects are gone \(cats: 30\), such as cats/000.jpg",
    ):
        nightly({"uri": "pics"})

    assert [path.read_bytes() for path in (tmp_path / ".perennial" / "listing").iterdir()] == kept
    with pytest.raises(DataCheckFailed):  # and the accident is not the state to compare with
        nightly({"uri": "pics"})
    shutil.move(tmp_path / "cats", pics / "cats")
    nightly({"uri": "pics"})


def test_a_withdrawal_is_accepted_by_its_number_and_the_next_one_is_not(
    nightly: Nightly, tmp_path: Path
) -> None:
    pics = fill(tmp_path / "pics", {"cats": 30, "dogs": 70, "owls": 40})
    nightly({"uri": "pics"})
    shutil.rmtree(pics / "cats")
    with pytest.raises(DataCheckFailed) as first:
        nightly({"uri": "pics"})
    decision = accepted_by(first)

    nightly({"uri": "pics"}, withdrawn_accepted=decision)
    nightly({"uri": "pics"}, withdrawn_accepted=decision)
    shutil.rmtree(pics / "owls")

    with pytest.raises(DataCheckFailed, match="source pics: 40 of 110 objects are gone") as second:
        nightly({"uri": "pics"}, withdrawn_accepted=decision)
    assert accepted_by(second) != decision


def test_a_few_images_of_a_small_set_and_those_that_moved_are_no_accident(
    nightly: Nightly, tmp_path: Path
) -> None:
    pics = fill(tmp_path / "pics", {"cats": 10, "dogs": 10})
    nightly({"uri": "pics"})
    for n in range(5):
        (pics / "cats" / f"{n:03d}.jpg").unlink()
    nightly({"uri": "pics"})
    shutil.move(pics / "dogs", pics / "wolves")

    nightly({"uri": "pics"})


@pytest.mark.parametrize("rate", [0.5, 1.0])
def test_the_rate_is_the_readers_to_set(nightly: Nightly, tmp_path: Path, rate: float) -> None:
    pics = fill(tmp_path / "pics", {"cats": 40, "dogs": 60})
    nightly({"uri": "pics"})
    shutil.rmtree(pics / "cats")

    nightly({"uri": "pics"}, max_withdrawn_rate=rate)


def test_one_archive_of_many_counts_by_its_bytes(nightly: Nightly, tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    for n in range(100):
        (tmp_path / "pics" / f"{n:02d}.tar").write_bytes(b"1" * (5000 if n == 7 else 100))
    nightly({"uri": "pics"})
    (tmp_path / "pics" / "07.tar").unlink()

    with pytest.raises(
        DataCheckFailed, match=r"source pics: 1 of 100 objects are gone \(top: 1\), such as 07.tar"
    ):
        nightly({"uri": "pics"})


def test_a_wrong_address_is_found_and_a_source_taken_out_is_a_decision(
    nightly: Nightly, tmp_path: Path
) -> None:
    fill(tmp_path / "pics", {"cats": 30, "dogs": 30})
    fill(tmp_path / "more", {"owls": 30})
    nightly({"uri": "pics"}, {"name": "more", "uri": "more"})
    nightly({"uri": "pics"})

    with pytest.raises(
        DataCheckFailed, match="pics: at pics/cats, named in place of pics, 30 of 60 objects"
    ):
        nightly({"uri": "pics/cats"})


def test_an_address_that_holds_nothing_of_the_source_is_a_decision(
    nightly: Nightly, tmp_path: Path
) -> None:
    fill(tmp_path / "pics", {"cats": 3})
    other = fill(tmp_path / "other", {"buses": 20})
    nightly({"uri": "pics"})

    expected = r"source pics: at other, named in place of pics, 3 of 3 objects are gone \(cats: 3\), such as "
    with pytest.raises(DataCheckFailed, match=expected) as refused:
        nightly({"uri": "other"})
    assert accepted_by(refused) == decision(
        [other_address("pics", "pics", "other")]
    )  # as `perennial init` writes it
    nightly({"uri": "other"}, withdrawn_accepted=accepted_by(refused))
    shutil.rmtree(other / "buses")
    fill(other, {"trams": 20})

    with pytest.raises(DataCheckFailed, match="source pics: 20 of 20 objects are gone"):
        nightly({"uri": "other"}, withdrawn_accepted=accepted_by(refused))


@pytest.mark.parametrize("added", [0, 6])
def test_a_little_each_night_adds_up_until_a_person_decides(
    nightly: Nightly, tmp_path: Path, added: int
) -> None:
    """4 of 100 a night: 4 % pass, the 8 % of two nights do not, however many came meanwhile."""
    pics = fill(tmp_path / "pics", {"cats": 100})

    def lose_four(night: int) -> None:
        for n in range(4 * night, 4 * night + 4):
            (pics / "cats" / f"{n:03d}.jpg").unlink()
        fill(pics, {f"new{night}": added})

    nightly({"uri": "pics"})
    lose_four(0)
    nightly({"uri": "pics"})
    lose_four(1)
    expected = rf"8 of {100 + added} objects are gone \(cats: 8\), such as cats/000"
    with pytest.raises(DataCheckFailed, match=expected) as two:
        nightly({"uri": "pics"})

    nightly({"uri": "pics"}, withdrawn_accepted=accepted_by(two))
    lose_four(2)
    nightly({"uri": "pics"}, withdrawn_accepted=accepted_by(two))


def test_two_sources_that_lost_too_much_are_one_decision(nightly: Nightly, tmp_path: Path) -> None:
    sources = ({"uri": "pics"}, {"name": "more", "uri": "more"})
    for name in ("pics", "more"):
        fill(tmp_path / name, {"cats": 30, "dogs": 30})
    nightly(*sources)
    for name in ("pics", "more"):
        shutil.rmtree(tmp_path / name / "cats")
    with pytest.raises(
        DataCheckFailed, match=r"source pics: 30 of 60 .*; source more: 30 of 60"
    ) as both:
        nightly(*sources)

    nightly(*sources, withdrawn_accepted=accepted_by(both))
    nightly(*sources)


def test_a_source_that_moved_as_it_is_goes_on(nightly: Nightly, tmp_path: Path) -> None:
    fill(tmp_path / "pics", {"cats": 30, "dogs": 30})
    nightly({"uri": "pics"})
    (tmp_path / "pics").rename(tmp_path / "elsewhere")

    nightly({"uri": "elsewhere"})


def test_a_last_listing_that_the_cache_lost_is_said(
    nightly: Nightly, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pics = fill(tmp_path / "pics", {"cats": 30, "dogs": 30})
    nightly({"uri": "pics"})
    shutil.rmtree(tmp_path / ".dvc")
    shutil.rmtree(tmp_path / ".perennial")
    shutil.rmtree(pics / "cats")

    nightly({"uri": "pics"})

    assert "the last run's listing is not in DVC's cache" in caplog.text
