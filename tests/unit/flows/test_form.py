"""The parameter form of the flow: from the models of params.yaml, few fields first; only what was filled in counts."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from flows.form import MAX_VISIBLE, Advanced, Change, changes_of, visible_keys
from pipeline_lib.harness.line import STAGES
from pipeline_lib.params import LineParams


def test_a_form_left_alone_changes_nothing() -> None:
    assert changes_of(Change(), Advanced()) == {}


def test_what_is_filled_in_becomes_an_override_and_nothing_else() -> None:
    change = Change.model_validate({"train_epochs": 2})
    advanced = Advanced.model_validate(
        {"train": {"seed": 7}, "register": {"min_top1": 0.5}, "inspect": {}}
    )

    assert changes_of(change, advanced) == {
        "train": {"seed": 7, "epochs": 2},
        "register": {"min_top1": 0.5},
    }


def test_null_means_left_alone_since_the_form_sends_it_for_every_empty_field() -> None:
    change = Change.model_validate({**dict.fromkeys(visible_keys()), "train_epochs": 3})
    advanced = Advanced.model_validate({"train": {"optimiser": None, "seed": None}, "curate": None})

    assert changes_of(change, advanced) == {"train": {"epochs": 3}}
    assert changes_of(change, None) == {"train": {"epochs": 3}}


def test_a_choice_in_the_form_may_be_empty() -> None:
    fields = Change.model_json_schema()["properties"]

    assert fields["train_recipe"]["enum"][-1] is None
    assert {"type": "null"} in fields["discover_refresh"]["anyOf"]


@pytest.mark.parametrize(
    "value", [{"train": {"epochs": -1}}, {"train": {"epoch": 2}}, {"trian": {}}]
)
def test_bounds_and_names_are_those_of_the_models(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Advanced.model_validate(value)


def test_at_most_eight_fields_stand_first_and_each_is_a_key_of_params() -> None:
    keys = visible_keys()

    assert 1 <= len(keys) <= MAX_VISIBLE == 8
    for key in keys.values():
        section, _, name = key.partition(".")
        model: Any = LineParams.model_fields[
            f"{section}_" if section == "register" else section
        ].annotation
        assert name in model.model_fields


def test_the_schema_keeps_bounds_and_meaning_and_sends_no_default_back() -> None:
    epochs = Change.model_json_schema()["properties"]["train_epochs"]

    assert (epochs["type"], epochs["minimum"], epochs["title"]) == ("integer", 0, "train.epochs")
    assert "passes over the training images" in epochs["description"]
    assert "default" not in epochs and "anyOf" not in epochs


def test_the_folded_part_has_a_group_for_each_stage() -> None:
    assert set(Advanced.model_json_schema(by_alias=True)["properties"]) == set(STAGES)
