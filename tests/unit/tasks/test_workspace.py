"""A workspace: what it starts from, what it shares, and that no checkout gets dirty."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.config import Config

from pipeline_lib.errors import ConfigError
from pipeline_lib.params import load_params
from pipeline_lib.registry.git_tags import take_snapshot
from pipeline_lib.settings import load_settings
from tasks.dvc_config import SITE_CACHE
from tasks.git import git
from tasks.process_group import put_on_record
from tasks.workspace import FLOW, Workspace, create_workspace, forget_old_workspaces, uncached_outs


def opened(origin: Path, **options: object) -> Workspace:
    arguments = {"run": "night-1", "changes": {}, "branch": None, "with_edits": False} | options
    return create_workspace(origin, **arguments)  # type: ignore[arg-type]


def test_the_checkout_stays_as_it_was(origin: Path) -> None:
    before = (
        git(origin, "status", "--porcelain"),
        git(origin, "for-each-ref"),
        (origin / "params.yaml").read_bytes(),
    )

    opened(origin, changes={"train": {"epochs": 2}})

    after = (
        git(origin, "status", "--porcelain"),
        git(origin, "for-each-ref"),
        (origin / "params.yaml").read_bytes(),
    )
    assert before == after


def test_overrides_stand_in_the_workspaces_params_only(origin: Path) -> None:
    workspace = opened(origin, changes={"train": {"epochs": 2}})

    assert "epochs: 2" in (workspace.folder / "params.yaml").read_text()
    assert workspace.candidate
    assert workspace.settings()["PERENNIAL_CANDIDATE"] == "true"
    assert workspace.settings()["PERENNIAL_ROOT"] == str(origin)


def test_a_wrong_override_is_refused_with_the_nearest_key(origin: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"params\.yaml: 1 wrong parameter \(found: train\.epoch: no such key, nearest is train\.epochs",
    ):
        opened(origin, changes={"train": {"epoch": 2}})


def test_it_shares_the_cache_of_its_origin_also_when_that_was_named_relatively(
    origin: Path,
) -> None:
    (origin / ".dvc" / "config.local").write_text("[cache]\n    dir = ../../elsewhere\n")

    workspace = opened(origin)

    said = (workspace.folder / ".dvc" / "config.local").read_text()
    assert f"dir = {origin.parent / 'elsewhere'}" in said


def test_nobody_else_reads_its_secrets_or_writes_where_dvc_keeps_pickles(origin: Path) -> None:
    (origin / ".dvc" / "config.local").write_text(
        "['remote \"store\"']\n    url = s3://b\n    secret_access_key = hush\n"
    )

    workspace = opened(origin)

    kept = [workspace.folder / ".dvc" / "config.local", workspace.folder / SITE_CACHE]
    assert [stat.S_IMODE(path.stat().st_mode) for path in kept] == [0o600, 0o700]
    assert "hush" in kept[0].read_text()


def test_a_remote_in_a_folder_near_the_origin_is_found_from_the_workspace(origin: Path) -> None:
    with (origin / ".dvc" / "config").open("a") as file:
        file.write("['remote \"store\"']\n    url = ../../store\n")
    git(origin, "commit", "-q", "-a", "-m", "remote")

    workspace = opened(origin)

    said = subprocess.run(
        [sys.executable, "-m", "dvc", "remote", "list"],
        cwd=workspace.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(origin.parent / "store") in said.stdout


def test_the_remote_is_that_of_the_branch_whatever_is_checked_out(origin: Path) -> None:
    config = origin / ".dvc" / "config"
    committed = config.read_text()
    for branch, url in (("near", "../../near"), ("far", "s3://far/dvc")):
        git(origin, "checkout", "-q", "-b", branch, "main")
        config.write_text(f"{committed}['remote \"store\"']\n    url = {url}\n")
        git(origin, "commit", "-q", "-a", "-m", branch)

    found = {
        branch: opened(origin, run=branch, branch=branch) for branch in ("main", "near", "far")
    }

    remotes = {branch: Config(str(one.folder / ".dvc"))["remote"] for branch, one in found.items()}
    assert remotes["main"] == {}
    assert remotes["near"]["store"]["url"] == str(origin.parent / "near")
    assert remotes["far"]["store"]["url"] == "s3://far/dvc"
    assert found["near"].taken == f"near at commit {git(origin, 'rev-parse', 'near')[:12]}"


def test_uncommitted_edits_are_taken_in_as_a_snapshot_and_named(origin: Path) -> None:
    with (origin / "curation" / "overrides.csv").open("a") as file:
        file.write("image_id,x,remove,,,blurred,me,2026-11-21\n")
    (origin / "curation" / "new.csv").write_text("new\n")

    workspace = opened(origin, with_edits=True)

    assert "blurred" in (workspace.folder / "curation" / "overrides.csv").read_text()
    assert (workspace.folder / "curation" / "new.csv").exists()
    assert git(origin, "rev-parse", f"{workspace.commit}^") == git(origin, "rev-parse", "HEAD")
    assert workspace.remarks[0].endswith("curation/new.csv, curation/overrides.csv")
    assert "included as snapshot commit" in workspace.remarks[0]
    assert git(origin, "status", "--porcelain").splitlines() == [
        " M curation/overrides.csv",
        "?? curation/new.csv",
    ]


def test_edits_of_files_that_may_hold_a_password_are_taken_into_no_snapshot(origin: Path) -> None:
    with (origin / ".dvc" / "config").open("a") as config:
        config.write("['remote \"store\"']\n    url = s3://ann:hush@b\n")
    (origin / "settings.toml").write_text('s3_endpoint_url = "https://ann:hush@host"\n')
    with (origin / "params.yaml").open("a") as params:
        params.write("# an edit\n")

    workspace = opened(origin, with_edits=True)
    snapshot = take_snapshot(origin)

    assert snapshot is not None
    taken = [
        git(origin, "show", "--name-only", "--format=", commit)
        for commit in (workspace.commit, snapshot.commit)
    ]
    assert taken == ["params.yaml", "params.yaml"]


@pytest.mark.parametrize(
    "is_named", [False, True], ids=["what is checked out", "by its name, as a deployment does"]
)
def test_a_deployed_run_leaves_uncommitted_edits_out_and_names_them(
    origin: Path, *, is_named: bool
) -> None:
    with (origin / "params.yaml").open("a") as file:
        file.write("# an edit\n")

    workspace = opened(origin, branch=git(origin, "branch", "--show-current") if is_named else None)

    assert "# an edit" not in (workspace.folder / "params.yaml").read_text()
    assert workspace.remarks == ("left out, since this run uses committed files only: params.yaml",)


def test_a_folder_of_images_beside_the_code_does_not_end_up_in_git(origin: Path) -> None:
    (origin / "photos").mkdir()
    (origin / "photos" / "cat.jpg").write_bytes(b"\xff\xd8")

    workspace = opened(origin, with_edits=True)

    assert workspace.remarks == ()
    assert not (workspace.folder / "photos").exists()


def test_code_and_params_come_from_the_branch_asked_for(origin: Path) -> None:
    git(origin, "branch", "other")
    (origin / "params.yaml").write_text(
        (origin / "params.yaml").read_text().replace("recipe: quick", "recipe: photo")
    )
    git(origin, "commit", "-q", "-a", "-m", "photo")

    workspace = opened(origin, branch="other")

    assert "recipe: quick" in (workspace.folder / "params.yaml").read_text()


def test_a_branch_that_does_not_exist_is_named(origin: Path) -> None:
    with pytest.raises(
        ConfigError,
        match="no commit to run from \\(found: nowhere\\)\\. Remedy: name a branch that `git branch -a` lists",
    ):
        opened(origin, branch="nowhere")


def test_without_a_commit_the_remedy_is_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match="no commit to run from. Remedy: run `git init && git add -A && git commit",
    ):
        opened(tmp_path)


def test_settings_edited_in_the_origin_hold_in_a_workspace_too(
    origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = opened(origin)
    (origin / "settings.toml").write_text("workers = 3\n")
    monkeypatch.setenv("PERENNIAL_ROOT", str(origin))

    assert load_settings(workspace.folder).workers == 3


def test_only_metrics_are_held_by_git(origin: Path) -> None:
    assert uncached_outs(origin) == ["line/curate/curation.json", "line/evaluate/metrics.json"]


def test_old_workspaces_go_and_those_at_work_stay(origin: Path) -> None:
    (origin / "settings.toml").write_text("keep_workspaces = 1\n")
    workspaces = [opened(origin, run=f"night-{number}") for number in range(4)]
    import os

    for number, workspace in enumerate(workspaces):
        os.utime(workspace.folder, (number, number))
    put_on_record(os.getpid(), workspaces[0].records / FLOW)

    gone = forget_old_workspaces(origin, load_settings(origin))

    assert gone == ["night-1", "night-2"]
    assert workspaces[0].folder.exists() and workspaces[3].folder.exists()


def test_an_override_that_params_yaml_says_already_is_none(origin: Path) -> None:
    params = origin / "params.yaml"
    seed = load_params(params).train.seed
    before = params.read_text()

    workspace = create_workspace(
        origin, run="night-1", changes={"train": {"seed": seed}}, branch=None, with_edits=False
    )

    assert (workspace.changes, workspace.candidate) == ({}, False)
    assert f"not a change, params.yaml has this value: train.seed = {seed}" in workspace.remarks
    assert (workspace.folder / "params.yaml").read_text() == before


def test_of_several_overrides_those_that_change_something_stay(origin: Path) -> None:
    seed = load_params(origin / "params.yaml").train.seed
    changes = {"train": {"seed": seed, "epochs": 77}}

    workspace = create_workspace(
        origin, run="night-1", changes=changes, branch=None, with_edits=False
    )

    assert workspace.changes == {"train": {"epochs": 77}}


def test_a_trial_of_a_sweep_keeps_its_overrides_so_that_it_stays_a_candidate(origin: Path) -> None:
    base = create_workspace(origin, run="sweep-1", changes={}, branch=None, with_edits=False)
    seed = load_params(origin / "params.yaml").train.seed

    trial = create_workspace(
        origin,
        run="sweep-1-t1",
        changes={"train": {"seed": seed}},
        branch=None,
        with_edits=False,
        after=base,
    )

    assert trial.candidate
