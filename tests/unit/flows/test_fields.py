"""How fields are described: types and values as people write them in params.yaml."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from flows.fields import as_yaml, key_lines, type_of


class Part(BaseModel):
    """A group of keys."""

    on: bool = True


class Keys(BaseModel):
    """Every kind of type that params.yaml has."""

    often: Literal["always", "never"] | Annotated[float, Field(ge=0, le=8760)] = "always"
    side_px: int | None = Field(None, gt=0, description="a side, pixels")
    names: tuple[str, ...] = ()
    sizes: dict[str, int] = Field(default_factory=dict)
    uri: str
    part: Part = Part()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("often", "always, never or float ≥ 0 ≤ 8760"),
        ("side_px", "int > 0 or null"),
        ("names", "list of text"),
        ("sizes", "map of text to int"),
        ("uri", "text"),
    ],
)
def test_a_type_is_said_in_words_with_its_bounds(name: str, said: str) -> None:
    assert type_of(Keys.model_fields[name]) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "null"),
        (True, "true"),
        ("", '""'),
        ((), "[]"),
        ([1, None], "[1, null]"),
        ({"a": False}, "{a: false}"),
        (["007", "null", "a, b", "[", "s3://x/y"], '["007", "null", "a, b", "[", s3://x/y]'),
    ],
)
def test_a_value_is_written_as_yaml_has_it(value: Any, said: str) -> None:
    assert as_yaml(value) == said


def test_the_value_behind_null_is_said_and_a_group_is_described_field_by_field() -> None:
    lines = key_lines(
        Keys, prefix="train.", present={"uri": "a.tar"}, otherwise={"side_px": 32, "uri": "b.tar"}
    )

    assert "train.side_px = 32, by default   (int > 0 or null, default null)" in lines
    assert "    a side, pixels" in lines
    assert "train.uri = a.tar   (text, required)" in lines
    assert "train.part.on = true   (bool, default true)" in lines
