"""What a sweep may vary, and which of its trials is best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline_lib.errors import ConfigError, UsageError
from pipeline_lib.harness.line import read_line
from tasks.changed_params import parse_grid
from tasks.sweep_trials import (
    Trial,
    best_trial,
    check_same_validation,
    check_sections,
    not_told_apart,
    read_trial,
    stages_of_trial,
)
from tasks.workspace import Workspace, create_workspace


def test_a_grid_is_every_combination_with_the_last_key_fastest() -> None:
    grid = parse_grid(["train.epochs=1,2", "train.network=lenet", "train.seed=0,1"])

    assert [(one["train"]["epochs"], one["train"]["seed"]) for one in grid] == [
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
    ]
    assert {one["train"]["network"] for one in grid} == {"lenet"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], r"--set: nothing to compare \(found: no key\)\. Remedy: give a key several values"),
        (["train.epochs=1"], "--set: nothing to compare .found: train.epochs=1"),
        (["train.epochs"], "--set: not a parameter with a value .found: train.epochs"),
        (["train.epochs=1,"], "--set: nothing to compare"),
        (["train.epochs=2,2"], "--set: nothing to compare .found: train.epochs=2,2"),
        (["train.epochs=null,2"], "--set: null cannot be set for one run"),
        (["train.epochs=1,{"], "--set: the value is not YAML"),
    ],
)
def test_what_is_no_grid_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_grid(arguments)


def test_only_stages_up_to_train_are_swept_and_only_from_the_first_that_differs() -> None:
    assert stages_of_trial({"train": {"seed": 1}}) == ("train",)
    assert stages_of_trial({"train": {"seed": 1}, "curate": {"min_side_px": 9}}) == (
        "curate",
        "convert",
        "train",
    )
    with pytest.raises(
        UsageError,
        match=r"--set: this section cannot be swept \(found: register\)\. Remedy: sweep keys",
    ):
        check_sections({"register": {"x": 1}, "train": {"seed": 1}})


def test_the_best_has_the_lowest_loss_or_the_highest_top1_and_a_failed_trial_is_never_best() -> (
    None
):
    trials = [
        Trial(1, {}, 0.5, 0.9),
        Trial(2, {}, 0.4, 0.8),
        Trial(3, {}, 0.6, 0.9),
        Trial(4, {}, error="diverged"),
    ]

    assert best_trial(trials, "val_loss") is trials[1]
    assert best_trial(trials, "val_top1") is trials[0]
    assert best_trial(trials[3:], "val_loss") is None


def test_trials_within_one_standard_error_of_the_best_top1_are_named() -> None:
    """0.9 of 100 images has a standard error of sqrt(0.9 * 0.1 / 100) = 0.03."""
    trials = [
        Trial(1, {}, 0.5, 0.9),
        Trial(2, {}, 0.6, 0.88),
        Trial(3, {}, 0.7, 0.8),
        Trial(4, {}, error="diverged"),
    ]

    assert not_told_apart(trials, trials[0], 100) == [2]


def test_a_trial_is_scored_by_the_epoch_it_kept(finished: Workspace) -> None:
    workspace = replace(finished, changes={"train": {"epochs": 10}})

    assert read_trial(3, workspace) == Trial(
        3, {"train.epochs": 10}, val_loss=0.1, val_top1=0.75, epoch=1
    )


def _validate_on(workspace: Workspace, labels: list[int]) -> None:
    folder = read_line(workspace.folder).path("selection")
    folder.mkdir(parents=True)
    rows = pd.DataFrame({"image_id": [f"src/{n}" for n in range(len(labels))], "label": labels})
    rows.sample(frac=1).to_parquet(folder / "val.parquet")


def test_trials_on_other_validation_pictures_or_labels_are_not_compared(origin: Path) -> None:
    changes = {"curate": {"seed": 1}}
    base, same, other = (
        replace(
            create_workspace(origin, run=run, changes={}, branch=None, with_edits=False),
            changes=changes,
        )
        for run in ("base", "same", "other")
    )
    for workspace, labels in ((base, [0, 1, 2]), (same, [0, 1, 2]), (other, [0, 1, 1])):
        _validate_on(workspace, labels)

    check_same_validation(same, base)
    with pytest.raises(
        ConfigError, match=r"params.yaml: 3 validation images that differ.*found: curate.seed"
    ):
        check_same_validation(other, base)


def test_a_trial_starts_from_the_results_of_another_workspace(finished: Workspace) -> None:
    trial = create_workspace(
        finished.origin,
        run="t1",
        changes={},
        branch=finished.commit,
        with_edits=False,
        after=finished,
    )

    assert (trial.folder / "dvc.lock").read_bytes() == (finished.folder / "dvc.lock").read_bytes()
    assert (trial.folder / "line/curate/curation.json").exists()
