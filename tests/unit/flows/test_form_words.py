"""The words of the Prefect forms: every parameter says what it is for, with an example where people must type."""

from __future__ import annotations

from typing import Any

from prefect.utilities.callables import parameter_schema

from flows.retrain import retrain
from flows.sweep import sweep


def descriptions(flow: Any) -> dict[str, str]:
    """Parameter -> the description that Prefect's form shows."""
    properties = parameter_schema(flow.fn).model_dump()["properties"]
    return {name: schema.get("description", "") for name, schema in properties.items()}


def test_every_parameter_of_the_forms_has_a_description() -> None:
    for flow in (retrain, sweep):
        found = descriptions(flow)
        assert found and all(found.values()), found


def test_what_people_must_type_has_an_example() -> None:
    shown = descriptions(retrain)
    swept = descriptions(sweep)

    assert "for example `main`" in shown[
        "branch"
    ] and "Left empty: whatever is checked out when the run begins." in shown["branch"].replace(
        chr(10), " "
    )
    assert '{"train": {"seed": 2}}' in shown["advanced"]
    assert (
        "train.peak_learning_rate=0.02,0.05" in swept["grid"]
        and "train four times" in swept["grid"]
    )
