"""Overrides: from the command line into params.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_lib.errors import ConfigError, UsageError
from tasks.changed_params import apply_changes, flat, parse_changes


def test_values_are_yaml() -> None:
    arguments = [
        "train.epochs=2",
        "train.recipe=photo",
        "curate.a.b=[1, no]",
        "train.lr=1e-3",
    ]

    changes = parse_changes(arguments)

    assert changes["train"] == {"epochs": 2, "recipe": "photo", "lr": 0.001}
    assert changes["curate"] == {"a": {"b": [1, "no"]}}


@pytest.mark.parametrize("argument", ["epochs=2", "train.epochs", ".epochs=2", "train.=2", "=2"])
def test_what_is_no_override_is_refused_with_an_example(argument: str) -> None:
    with pytest.raises(
        UsageError,
        match=r"--set: not a parameter with a value \(found: .*\)\. Remedy: write section\.key=value",
    ):
        parse_changes([argument])


@pytest.mark.parametrize("argument", ["train.x=null", "train.x="])
def test_null_is_refused_since_in_the_form_it_means_left_alone(argument: str) -> None:
    with pytest.raises(
        UsageError,
        match=r"null cannot be set for one run .* Remedy: set it to null in params\.yaml",
    ):
        parse_changes([argument])


def test_a_value_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the value is not YAML \(found: train\.x=\[1\)"):
        parse_changes(["train.x=[1"])


def test_comments_order_and_other_values_of_params_stay(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("# why\ntrain:\n  recipe: quick  # small\n  epochs: 10\ninspect: {}\n")

    apply_changes(params, {"train": {"epochs": 2}, "inspect": {"min_side_px": 9}})

    assert (
        params.read_text()
        == "# why\ntrain:\n  recipe: quick  # small\n  epochs: 2\ninspect:\n  min_side_px: 9\n"
    )


def test_without_overrides_params_stays_as_it_is_to_the_byte(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("train:   {epochs:   10}\n")

    apply_changes(params, {})

    assert params.read_text() == "train:   {epochs:   10}\n"


def test_a_missing_params_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params\.yaml: no such file"):
        apply_changes(tmp_path / "params.yaml", {"train": {"epochs": 2}})


def test_flat_and_parse_are_inverse() -> None:
    changes = {"train": {"epochs": 2, "schedule": {"kind": "cosine"}}, "curate": {"seed": 1}}

    assert parse_changes([f"{key}={value}" for key, value in flat(changes).items()]) == changes
