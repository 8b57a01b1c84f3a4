"""What `perennial upgrade` does with a dvc.lock: told on locks made from the real dvc.yaml and table of releases."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.errors import BadData, ConfigError
from pipeline_lib.harness.line import read_line
from pipeline_lib.registry.dvc_cache import DvcCache
from pipeline_lib.train.params import TrainParams
from pipeline_lib.upgrade.dvc_lock import Today, read_today, upgrade_lock
from pipeline_lib.upgrade.releases import (
    CHANGED,
    KEPT_STAGES,
    SAME,
    Release,
    Said,
    is_code,
    make_the_same_bytes,
    read_releases,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Today:
    """This checkout with two releases in its table: one without fingerprints, and today's with the same bytes."""
    today = read_today(ROOT, tmp_path_factory.mktemp("state"))
    old = Release(
        "old", "", {stage: f"{'0' * 32}  pipeline_lib/{stage}\n" for stage in KEPT_STAGES}, {}
    )
    return replace(
        today,
        releases=(
            old,
            Release("next", "", today.code, {s: Said(SAME, "moved") for s in KEPT_STAGES}),
        ),
    )


def locked(checkout: Today, **changed: str) -> dict[str, Any]:
    """The dvc.lock of a run with the old release; changed: stage -> md5 of its folder after a user's edit."""
    line = read_line(ROOT)
    stages = {}
    for stage in KEPT_STAGES:
        reads = [path.relative_to(ROOT).as_posix() for path in line.deps[stage]]
        deps = {f"pipeline_lib/{stage}": changed.get(stage, "0" * 32)} | {
            d: "a" * 32 for d in reads if not is_code(d)
        }
        stages[stage] = {
            "cmd": f"python -m an.older.place {stage}",
            "deps": [
                {"path": path, "hash": "md5", "md5": md5, "size": 1} for path, md5 in deps.items()
            ],
            "params": {"params.yaml": {stage: checkout.params[stage]}},
            "outs": [
                {"path": path.relative_to(ROOT).as_posix(), "md5": "b" * 32}
                for path in line.writes[stage].values()
            ],
        }
    return {
        "schema": "2.0",
        "stages": {"discover": {"cmd": "x"}, **stages, "register": {"cmd": "y"}},
    }


def said_to_change(checkout: Today, stage: str, why: str) -> Today:
    old, following = checkout.releases
    return replace(
        checkout,
        releases=(old, replace(following, said={**following.said, stage: Said(CHANGED, why)})),
    )


def upgrade(lock: dict[str, Any], today: Today, tmp_path: Path, **options: Any) -> dict[str, str]:
    return {
        step.stage: step.stale
        for step in upgrade_lock(lock, today, DvcCache((tmp_path,)), **options)
    }


def test_an_upgraded_entry_is_what_a_run_with_todays_code_would_have_locked(
    checkout: Today, tmp_path: Path
) -> None:
    lock, before = locked(checkout), locked(checkout)

    stale = upgrade(lock, checkout, tmp_path)

    assert stale == dict.fromkeys(KEPT_STAGES, "")
    train = lock["stages"]["train"]
    (own,) = (dep for dep in train["deps"] if is_code(dep["path"]))
    data = [dep for dep in train["deps"] if dep != own]
    text = checkout.code["train"].encode()
    assert own["md5"] == hashlib.md5(text, usedforsecurity=False).hexdigest() and own[
        "size"
    ] == len(text)
    assert [dep["path"] for dep in train["deps"]] == sorted(
        path.relative_to(ROOT).as_posix() for path in read_line(ROOT).deps["train"]
    )
    assert {dep["md5"] for dep in data} == {"a" * 32} and train["outs"] == before["stages"][
        "train"
    ]["outs"]
    assert train["cmd"] == "python -m pipeline_lib.stage train"
    assert [lock["stages"][one] for one in ("discover", "register")] == [{"cmd": "x"}, {"cmd": "y"}]


def test_a_second_upgrade_changes_nothing(checkout: Today, tmp_path: Path) -> None:
    once, twice = locked(checkout), locked(checkout)
    upgrade(once, checkout, tmp_path)

    for _ in range(2):
        stale = upgrade(twice, checkout, tmp_path)

    assert twice == once and set(stale.values()) == {""}


def test_a_stage_whose_bytes_changed_is_left_stale_and_says_why(
    checkout: Today, tmp_path: Path
) -> None:
    lock, before = locked(checkout), locked(checkout)

    stale = upgrade(lock, said_to_change(checkout, "curate", "finds more duplicates"), tmp_path)

    assert stale["curate"] == "finds more duplicates" and stale["train"] == ""
    assert lock["stages"]["curate"] == before["stages"]["curate"] != lock["stages"]["train"]


def test_a_stage_that_reads_other_files_now_runs_again(checkout: Today, tmp_path: Path) -> None:
    lock = locked(checkout)
    del lock["stages"]["train"]["outs"][0]

    assert upgrade(lock, checkout, tmp_path)["train"] == "it now reads or writes different files"


def test_code_of_no_known_release_is_refused_by_stage_and_file_and_nothing_is_changed(
    checkout: Today, tmp_path: Path
) -> None:
    lock, before = (locked(checkout, train="f" * 32) for _ in range(2))

    with pytest.raises(
        BadData,
        match=r"pipeline_lib/train: .*train ran with code of no known release.*upgrade --leave train",
    ):
        upgrade(lock, checkout, tmp_path)

    assert lock == before
    assert upgrade(lock, checkout, tmp_path, leave=["train"])["train"].startswith("left as it is")
    assert lock["stages"]["train"] == before["stages"]["train"]
    assert lock["stages"]["curate"] != before["stages"]["curate"]


def test_of_an_unknown_fingerprint_the_cache_tells_the_module(
    checkout: Today, tmp_path: Path
) -> None:
    """A user's edit after the first upgrade: dvc.lock names a fingerprint, and DVC's cache holds its text."""
    lock = locked(checkout)
    upgrade(lock, checkout, tmp_path)
    line = next(
        line
        for line in checkout.code["train"].splitlines()
        if line.endswith("pipeline_lib/train/loop.py")
    )
    edited = checkout.code["train"].replace(line, f"{'e' * 32}  pipeline_lib/train/loop.py")
    md5 = hashlib.md5(edited.encode(), usedforsecurity=False).hexdigest()
    next(dep for dep in lock["stages"]["train"]["deps"] if "code_of" in dep["path"])["md5"] = md5

    with pytest.raises(BadData, match=r"^code_of_train.txt: "):
        upgrade(lock, checkout, tmp_path)
    kept = tmp_path / "files/md5" / md5[:2] / md5[2:]
    kept.parent.mkdir(parents=True)
    kept.write_text(edited)

    with pytest.raises(BadData, match=r"^pipeline_lib/train/loop.py: "):
        upgrade(lock, checkout, tmp_path)


def test_an_edit_of_todays_code_is_refused_since_the_table_cannot_speak_of_it(
    checkout: Today, tmp_path: Path
) -> None:
    edited = replace(
        checkout,
        code={
            **checkout.code,
            "curate": checkout.code["curate"] + "e  pipeline_lib/curate/own.py\n",
        },
    )

    with pytest.raises(
        BadData, match=r"pipeline_lib/curate/own.py: the code of curate is edited here.*git stash"
    ):
        upgrade(locked(checkout), edited, tmp_path)


def test_a_section_that_means_the_same_as_before_costs_no_run_and_another_one_does(
    checkout: Today, tmp_path: Path
) -> None:
    """A release may spell out a default in params.yaml; DVC alone would see another section."""
    lock = locked(checkout)
    spelt_out = {**(checkout.params["train"] or {}), "seed": TrainParams().seed}
    now = {**checkout.params, "train": spelt_out, "evaluate": {"threads": 7}}

    upgrade(lock, replace(checkout, params=now), tmp_path)

    assert lock["stages"]["train"]["params"]["params.yaml"]["train"] == spelt_out
    assert (
        lock["stages"]["evaluate"]["params"]["params.yaml"]["evaluate"]
        == checkout.params["evaluate"]
    )


def test_code_that_changed_no_byte_since_counts_as_the_same(checkout: Today) -> None:
    old = {"pipeline_lib/train": "0" * 32, "line/x": "1"}
    text = checkout.code["train"].encode()
    new = {
        "line/discover/code_of_train.txt": hashlib.md5(text, usedforsecurity=False).hexdigest(),
        "line/x": "1",
    }

    assert make_the_same_bytes("train", old, new, checkout.releases)
    assert make_the_same_bytes("train", old, dict(old), ())
    assert not make_the_same_bytes("train", old, new, ())
    assert not make_the_same_bytes("train", {**old, "line/x": "2"}, new, checkout.releases)
    assert not make_the_same_bytes(
        "train", old, new, said_to_change(checkout, "train", "better").releases
    )


def test_a_table_that_is_gone_or_broken_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="the table of releases cannot be read.*git checkout -- upgrade"
    ):
        read_releases(tmp_path)
    (tmp_path / "upgrade").mkdir()
    (tmp_path / "upgrade/releases.toml").write_text("[[release]\n")
    with pytest.raises(ConfigError, match="the table of releases cannot be read"):
        read_releases(tmp_path)
