"""The `evaluate` section of params.yaml."""

from __future__ import annotations

from pydantic import Field

from pipeline_lib.params_file import Params


class EvaluateParams(Params):
    """How to score and export."""

    batch_size: int = Field(
        128, ge=1, le=65536, description="pictures per step; changes speed and memory, no figure beyond rounding"
    )
    bootstrap_rounds: int = Field(1000, ge=100, le=100_000, description="resamples for the interval of macro F1")
    bootstrap_seed: int = Field(0, ge=0, lt=2**31, description="of the resamples")
    parity_images: int = Field(
        200, ge=1, le=100_000, description="test pictures on which ONNX and torch must agree; all where there are fewer"
    )
    threads: int = Field(
        2, ge=1, le=256, description="CPU threads; another number may change the last bits of a probability"
    )


PARAMS = EvaluateParams
