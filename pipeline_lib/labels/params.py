"""The key `labels` of a source: which files hold the labels, and how they are read."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from pipeline_lib.params_file import Params

FormatName = Literal[
    "table", "one_hot", "lists", "sidecar", "image_parquet", "coco", "voc", "yolo", "cvat", "cub", "tiny_imagenet", "ilsvrc",
    "imagenet_real", "splits",
]  # fmt: skip
Several = Literal["refuse", "largest", "leave_out", "combined"]


def fits(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern: `*` stands for any part of a name between slashes, `**` for anything."""
    parts = [re.escape(part).replace(r"\*", "[^/]*") for part in pattern.split("**")]
    return re.fullmatch(".*".join(parts), name) is not None


class LabelsFile(Params):
    """Files with the labels of a source: beside it (`file`) or among its own files (`inside`)."""

    format: FormatName = Field(
        "table", description="format of the files (docs/layouts.md lists all formats)"
    )
    file: str | None = Field(
        None,
        min_length=1,
        description="address of the file, or of the folder of files, if it is not part of the source",
    )
    inside: tuple[str, ...] = Field(
        (),
        description="names of the files inside the source, folder or archive; * stands for any part of a name between "
        "slashes",
    )
    image: str | None = Field(
        None, description="column of the images' names; null: found by its name"
    )
    label: str | None = Field(
        None,
        description="column of the classes; null: found by its name. For `sidecar`: the file extension or key that "
        "holds the class, such as cls, txt or json.label",
    )
    split: str | None = Field(None, description="column of the splits; null: found by its name")
    classes: str | None = Field(
        None,
        description="file in the same place that names the classes of numbered labels: line n for number n from 0, "
        "lines `number name`, or JSON",
    )
    several: Several = Field(
        "refuse",
        description="class of an image with several, or with annotated objects of several. refuse: stop; largest: the class "
        "of the largest box; leave_out: no class; combined: each combination is a class of its own, or, in an "
        "extra test set, each of them is right",
    )

    def has(self, name: str) -> bool:
        """Whether a file of the source is one of `inside`."""
        return any(fits(pattern, name) for pattern in self.inside)

    @model_validator(mode="after")
    def _is_somewhere(self) -> LabelsFile:
        if (self.file is None) == (not self.inside):
            raise ValueError("name either `file`, beside the source, or `inside`, among its files")
        return self
