"""The `register` section of params.yaml: the gate's limits, and what the report shows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from pipeline_lib.params_file import Params
from pipeline_lib.slices.names import DEFAULT, check_names


class RegisterParams(Params):
    """When a new model replaces the champion."""

    min_top1: float = Field(
        0.0,
        ge=0,
        le=1,
        description="minimum top-1 accuracy on the test split (0..1) to register a model; at 0 a model only has to "
        "beat always naming the largest class",
        json_schema_extra={"visible": True},
    )
    smallest_margin: float = Field(
        0.005,
        gt=0,
        le=0.1,
        description="loss of top-1 accuracy (0..1) that still counts as not worse, with 7,200 test images or more; "
        "with fewer, n, the margin is max(this, 3 sqrt(0.02 / n), 3 / (n + 3)), since a smaller one could not be "
        "decided",
    )
    class_loss: float = Field(
        0.02,
        gt=0,
        le=1,
        description="smallest loss of a class's recall (0..1) that counts against a model, if it is beyond chance",
    )
    class_significance: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="family-wise significance level at which the loss of a class rejects a model (one-sided exact "
        "McNemar, Holm)",
    )
    class_hold_significance: float = Field(
        0.02,
        gt=0,
        lt=0.5,
        description="probability that an equally good model is held back by the loss of some class (exact, over "
        "all classes)",
    )
    shift_loss: float = Field(
        0.03,
        gt=0,
        le=1,
        description="smallest loss of accuracy (0..1) on an extra test set that holds a model, if it is beyond chance",
    )
    corruption_loss: float = Field(
        0.1,
        gt=0,
        le=1,
        description="the same on a kind of corruption; more, since models that differ by their seed alone differ there "
        "(docs/shift.md)",
    )
    shift_significance: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="family-wise significance level at which the loss of a kind of corruption or of an extra test set "
        "holds a model (one-sided exact test over images, Holm)",
    )
    approval: Literal["gate", "person"] = Field(
        "gate",
        description="who promotes a model that passes all rules: the gate itself, or a person with `perennial promote` "
        "(the model waits as challenger until then; the first one too)",
    )
    slices: tuple[str, ...] = Field(
        DEFAULT,
        description="columns by whose values the report groups the test images: of the manifest or images.parquet, "
        "short_side_px, annotator, groups (every column of curation/groups.csv) or groups.NAME, extras.NAME (a column "
        "of the labels file); empty: none. What is not named does not reach the report",
    )

    @field_validator("slices")
    @classmethod
    def _known(cls, slices: tuple[str, ...]) -> tuple[str, ...]:
        check_names(slices)
        return slices


PARAMS = RegisterParams
