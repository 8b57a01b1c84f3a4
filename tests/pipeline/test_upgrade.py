"""A newer Perennial is taken over: a line made by an older release is upgraded, and only what always runs runs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline_lib.upgrade.releases import CHANGED, KEPT_STAGES, read_releases
from testing.checkout import TREE, Checkout, commit, stages_from, throw_away_checkout

*EARLIER, TODAY = read_releases(TREE)
BASE = next(release for release in reversed(EARLIER) if release.code != TODAY.code)
SINCE = [*EARLIER, TODAY][EARLIER.index(BASE) + 1 :]
CLASSES, IMAGES_PER_CLASS = 3, 60
LINE = "perennial/line"
# Git holds an out of curate, which DVC does not restore.
IN_RUN_CACHE = [one for one in KEPT_STAGES if one != "curate"]


def _write_images(folder: Path) -> None:
    """A folder per class of handwritten digits, 32 px wide."""
    digits = load_digits()
    for label in range(CLASSES):
        (folder / f"digit-{label}").mkdir(parents=True)
        for number, pixels in enumerate(digits.images[digits.target == label][:IMAGES_PER_CLASS]):
            image = Image.fromarray((pixels * 15.9).astype(np.uint8)).resize(
                (32, 32), Image.Resampling.BILINEAR
            )
            image.convert("RGB").save(folder / f"digit-{label}" / f"{number:03}.png")


@pytest.fixture(scope="module")
def upgraded_from(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A clone at the last release with a finished line, its own params, and then the working tree merged in."""
    has_base = subprocess.run(
        ["git", "cat-file", "-e", f"{BASE.commit}^{{commit}}"], cwd=TREE, capture_output=True
    )
    if has_base.returncode:
        pytest.skip(
            f"git has no commit {BASE.commit[:12]} of release {BASE.name} here: a shallow clone, or no clone"
        )
    folder = tmp_path_factory.mktemp("upgrade")
    line = Checkout(folder / "line")
    subprocess.run(
        ["git", "clone", "-q", "--no-checkout", "--no-tags", TREE, line.folder], check=True
    )
    line.run("git", "checkout", "-q", "-B", "mine", BASE.commit)
    _write_images(line.folder / "images")
    with (line.folder / ".git/info/exclude").open("a") as file:
        file.write("/images/\n")
    line.set_param("discover.sources", "[{name: images, uri: images}]")
    line.shorten_training(1)
    line.repro()
    commit(line, "My line")
    line.run("git", "branch", LINE)
    _pull_working_tree(line, folder / "newer")
    return line


def _pull_working_tree(line: Checkout, folder: Path) -> None:
    """Merge the working tree, as a commit on top of the release."""
    newer = throw_away_checkout(folder)
    shutil.copytree(
        TREE / "tests", newer.folder / "tests", ignore=shutil.ignore_patterns("__pycache__")
    )
    commit(newer, "With its tests")
    line.run("git", "fetch", "-q", str(newer.folder), "main")
    merged = line.run(
        "git", "commit-tree", "FETCH_HEAD^{tree}", "-p", BASE.commit, "-m", "Newer"
    ).output.strip()
    line.run("git", "merge", "-q", "-X", "ours", merged)


def test_after_an_upgrade_only_what_always_runs_and_what_changed_its_bytes_runs(
    upgraded_from: Checkout,
) -> None:
    before = upgraded_from.out_hashes()
    changed = {
        stage for release in SINCE for stage, said in release.said.items() if said.bytes == CHANGED
    }

    said = upgraded_from.python("flows.cli", "upgrade").output
    ran = upgraded_from.repro().ran

    assert (
        "dvc.lock:\n" in said
        and f"{LINE}:\n" in said
        and said.count(f"kept, as of {BASE.name}") > 1
    )
    may_run = {"discover", "register"} | {
        after for stage in changed for after in stages_from(stage)
    }
    assert {"discover", "register", *changed} <= set(ran) <= may_run
    kept = {path for path in before if path.split("/")[1] not in may_run}
    assert {path: upgraded_from.out_hashes()[path] for path in kept} == {
        path: before[path] for path in kept
    }
    shards = "line/download/shards"  # packed by date then, and by name now: they stay as they are
    assert upgraded_from.out_hashes()[shards] == before[shards]
    if not changed:
        (upgraded_from.folder / "dvc.lock").unlink()
        assert upgraded_from.repro().restored == IN_RUN_CACHE
    nightly = upgraded_from.run("git", "show", f"{LINE}:dvc.lock").output
    assert (
        "code_of_train.txt" in nightly
        and "pipeline_lib/train" not in nightly.partition("register:")[0]
    )
    assert upgraded_from.run("git", "log", "-1", "--format=%s", LINE).output.startswith("Upgrade: ")
