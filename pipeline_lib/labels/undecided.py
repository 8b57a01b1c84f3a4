"""The error of labels that can be read in several ways: `perennial init` asks, elsewhere it ends the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from pipeline_lib.errors import BadData

IN_PARAMS: Final = "the source in discover.sources of params.yaml"


class Undecided(BadData):
    """Labels can be read in several ways. key: of `labels`, which `choices` are values of."""

    code = "labels_undecided"
    key: Literal["label", "several"] = "label"
    choices: tuple[str, ...] = ()


def several_columns(what: str, choices: Sequence[str], *, file: str) -> Undecided:
    """Several columns or keys may hold the class."""
    remedy = f"choose one: `perennial init --label-column NAME`, or `label: NAME` in `labels` of {IN_PARAMS}"
    error = Undecided(what, file=file, value=", ".join(choices), remedy=remedy)
    error.choices = tuple(choices)
    return error


def several_classes(n_several: int, n_images: int, example: str, *, file: str) -> Undecided:
    """Annotations name objects of several classes in one image."""
    remedy = (
        "say which class such an image gets: `several: largest` (of the largest box) or `several: leave_out` (none) in "
        f"`labels` of {IN_PARAMS}, or `perennial init --several RULE`"
    )
    what = f"{n_several} of {n_images} images have objects of several classes"
    error = Undecided(what, file=file, value=example, remedy=remedy)
    error.key, error.choices = "several", ("largest", "leave_out")
    return error
