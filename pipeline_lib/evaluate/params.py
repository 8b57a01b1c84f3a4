"""The `evaluate` section of params.yaml."""

from __future__ import annotations

from pydantic import Field, field_validator

from pipeline_lib.params_file import Params
from pipeline_lib.shift.names import KINDS, Kind


class EvaluateParams(Params):
    """How to score and export a model."""

    batch_size: int = Field(
        128,
        ge=1,
        le=65536,
        description="number of images per step; changes speed and memory, and results by rounding only",
    )
    bootstrap_rounds: int = Field(
        1000,
        ge=100,
        le=100_000,
        description="number of bootstrap resamples for the confidence interval of macro F1",
    )
    bootstrap_seed: int = Field(
        0, ge=0, lt=2**31, description="random seed of the bootstrap resamples"
    )
    parity_images: int = Field(
        200,
        ge=1,
        le=100_000,
        description="number of test images on which ONNX and torch must agree; all if there are fewer",
    )
    unlike_images: int = Field(
        500,
        ge=0,
        le=1_000_000,
        description="number of training images, at least one of each class, from which the model learns to tell images "
        "unlike any it was trained on; 0: it does not tell",
    )
    explained_images: int = Field(
        24,
        ge=0,
        le=500,
        description="number of test images whose answers the report explains: the most confident mistakes, and right "
        "answers; 0: none",
    )
    corruptions: tuple[Kind, ...] = Field(
        KINDS,
        description="kinds of corruption in which test images are shown again, each in three strengths; empty: none",
    )
    corrupted_images: int = Field(
        200,
        ge=1,
        le=1_000_000,
        description="number of test images that are corrupted, at least one of each class, equally many of all classes",
    )
    threads: int = Field(
        2,
        ge=1,
        le=256,
        description="number of CPU threads; another number may change the last bits of a probability",
    )

    @field_validator("corruptions")
    @classmethod
    def _kinds_differ(cls, kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
        if len(set(kinds)) < len(kinds):
            raise ValueError("a kind is named twice; name each once")
        return kinds


PARAMS = EvaluateParams
