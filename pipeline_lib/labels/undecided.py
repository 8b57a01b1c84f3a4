"""Labels that can be read in several ways: `perennial init` asks, elsewhere it is an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline_lib.errors import LabelsUndecided

IN_PARAMS: Final = "the source in discover.sources of params.yaml"


def several_columns(what: str, choices: Sequence[str], *, file: str) -> LabelsUndecided:
    """Several columns or keys may hold the class."""
    remedy = f"choose one: `perennial init --label-column NAME`, or `label: NAME` in `labels` of {IN_PARAMS}"
    error = LabelsUndecided(what, file=file, value=", ".join(choices), remedy=remedy)
    error.choices = tuple(choices)
    return error


def combined_classes(n_several: int, n_images: int, example: str, *, file: str) -> LabelsUndecided:
    """Lines of tables or lists name several classes for one image."""
    remedy = (
        "say which class such an image gets: `several: leave_out` (none) or `several: combined` (each combination is a class "
        f"of its own) in `labels` of {IN_PARAMS}, or `perennial init --several RULE`"
    )
    what = f"{n_several} of {n_images} images have several classes"
    error = LabelsUndecided(what, file=file, value=example, remedy=remedy)
    error.key, error.choices = "several", ("leave_out", "combined")
    return error


def differing_lines(what: str, value: str, *, file: str) -> LabelsUndecided:
    """Several lines are about one image and name several classes: it has them all, or people differ."""
    remedy = (
        "keep one line per image, or say which class such an image gets: `several: leave_out` (none) or `several: combined` "
        f"(each combination is a class of its own) in `labels` of {IN_PARAMS}, or `perennial init --several RULE`; labels by "
        "several people belong in a `votes` file"
    )
    error = LabelsUndecided(what, file=file, value=value, remedy=remedy)
    error.key, error.choices = "several", ("leave_out", "combined")
    return error


def several_classes(n_several: int, n_images: int, example: str, *, file: str) -> LabelsUndecided:
    """Annotations name objects of several classes in one image."""
    remedy = (
        "say which class such an image gets: `several: largest` (of the largest box) or `several: leave_out` (none) in "
        f"`labels` of {IN_PARAMS}, or `perennial init --several RULE`"
    )
    what = f"{n_several} of {n_images} images have objects of several classes"
    error = LabelsUndecided(what, file=file, value=example, remedy=remedy)
    error.key, error.choices = "several", ("largest", "leave_out")
    return error
