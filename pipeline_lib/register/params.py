"""The `register` section of params.yaml: the gate's limits."""

from __future__ import annotations

from pydantic import Field

from pipeline_lib.params_file import Params


class RegisterParams(Params):
    """When a new model takes the champion's place."""

    min_top1: float = Field(
        0.0,
        ge=0,
        le=1,
        description="top-1 on the test split below which no model is registered, 0..1; 0 asks only to beat the "
        "largest class",
        json_schema_extra={"visible": True},
    )
    smallest_margin: float = Field(
        0.005,
        gt=0,
        le=0.1,
        description="loss of top-1 (a fraction) that still counts as not worse, with 7,200 test pictures or more; "
        "fewer pictures get max(this, 3 sqrt(0.02 / n)), or nothing could ever be decided",
    )
    class_loss: float = Field(
        0.02, gt=0, le=1, description="loss of a class's recall (a fraction) from which a significant loss blocks"
    )
    class_significance: float = Field(
        0.05, gt=0, lt=0.5, description="family-wise level of the per-class tests (one-sided exact McNemar, Holm)"
    )
    small_class_images: int = Field(
        20, ge=1, le=10_000, description="classes with fewer test pictures are tested together as one"
    )


PARAMS = RegisterParams
