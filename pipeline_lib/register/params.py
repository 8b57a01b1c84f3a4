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
        description="smallest top-1 on the test split of a model that is registered, 0..1; 0 asks only to beat "
        "the largest class",
        json_schema_extra={"visible": True},
    )
    smallest_margin: float = Field(
        0.005,
        gt=0,
        le=0.1,
        description="largest loss of top-1 that still counts as not worse, 0..1, with 7,200 test images or more; "
        "with fewer it is max(this, 3 sqrt(0.02 / n), 3 / (n + 3)), or nothing could ever be decided",
    )
    class_loss: float = Field(
        0.02, gt=0, le=1, description="smallest loss of a class's recall that counts when it is beyond chance, 0..1"
    )
    class_significance: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="family-wise significance level at which a class's loss refuses a model, 0..1 (McNemar, Holm)",
    )
    class_hold_significance: float = Field(
        0.02,
        gt=0,
        lt=0.5,
        description="probability that an equally good model is held for some class's loss, 0..1 (over all classes)",
    )


PARAMS = RegisterParams
