"""A source of images: one entry of `discover.sources`, and sources.json, which hands the entries to `download`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipeline_lib.errors import OutputDamaged
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.params_file import Params
from pipeline_lib.safe_text import redacted
from pipeline_lib.sources.names import is_archive
from pipeline_lib.sources.subjects import SUBJECT, check_pattern, is_pattern

LayoutName = Literal[
    "auto",
    "class_folders",
    "split_class_folders",
    "class_split_folders",
    "leaf_folders",
    "split_leaf_folders",
    "flat",
]
SCHEMES = frozenset({"s3", "http", "https"})
SplitName = Literal["train", "val", "test"]


class Source(Params):
    """One source. Relative paths resolve against the original repository."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        max_length=60,
        description="name of the source, the first part of every image_id",
    )
    uri: str = Field(
        min_length=1,
        description="where the source is: an archive (tar, zip), a folder, s3://bucket/prefix, or https:// addresses of "
        "files (several with spaces between them), or a list of such addresses (.txt, or .csv with a column url)",
    )
    layout: LayoutName = Field(
        "auto", description="how paths give class and split; auto: found from the folders"
    )
    splits: dict[str, SplitName] | None = Field(
        None,
        description="folder names that stand for a split, such as {dev: val, testing: test}; images in other "
        "folders beside them have no class. {}: no folder stands for a split. null: train, val and test in their "
        "usual spellings",
    )
    role: Literal["unlabelled"] | None = Field(
        None,
        description="unlabelled: the images have no class, whatever their folders are called; they wait in the review "
        "queue, training may learn from them (curate.learn_unlabelled), and they count for no limit on quarantine. "
        "null: labelled. An extra test set is `split: test`",
    )
    split: SplitName | None = Field(
        None, description="split of the whole source, for instance of an extra test set"
    )
    labels: str | LabelsFile | None = Field(
        None,
        description="file with the class of each image, instead of class folders: a table (CSV, TSV, JSON, JSON Lines, "
        "Parquet) whose columns for file name, class and (optional) split are found by their names; or an object that "
        "says format, files and columns (docs/labels.md, docs/layouts.md)",
    )
    votes: str | None = Field(
        None, description="CSV file of annotators' votes, with the columns member, annotator, label"
    )
    subjects: str | None = Field(
        None,
        description="CSV file of the person or object shown, which never spans two splits, with the columns "
        "member, subject",
    )
    subject_from: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="subject by the images' names or by a column of the labels file, instead of a file of subjects: a "
        "pattern such as '{subject}_*' (person01_003.jpg) or '{subject}/*' (the folder that holds the image), or the "
        "name of the column (docs/labels.md)",
    )

    def __hash__(self) -> int:
        return hash((self.name, self.uri))  # `splits` is a dict

    @property
    def labels_stated(self) -> LabelsFile | None:
        """The labels as an object."""
        return LabelsFile(file=self.labels) if isinstance(self.labels, str) else self.labels

    @property
    def labels_address(self) -> str | None:
        """Where the labels are, if they are not among the files of the source."""
        return self.labels_stated.file if self.labels_stated else None

    def is_container(self, key: str) -> bool:
        """Whether an object of the source holds images: an archive, or a Parquet file of images."""
        labels = self.labels_stated
        holds_images = labels is not None and labels.format == "image_parquet"
        return is_archive(key) or (holds_images and labels is not None and labels.has(key))

    @property
    def subject_pattern(self) -> str | None:
        """The pattern of `subject_from`, where it is one."""
        return self.subject_from if self.subject_from and is_pattern(self.subject_from) else None

    @property
    def subject_column(self) -> str | None:
        """The column of `subject_from`, where it names one."""
        return None if self.subject_pattern else self.subject_from

    @model_validator(mode="before")
    @classmethod
    def _unlabelled_is_flat(cls, content: object) -> object:
        """Read an unlabelled source without classes, and as training images: others would be of no use."""
        if not isinstance(content, dict) or content.get("role") != "unlabelled":
            return content
        meant = {"layout": "flat", "split": "train"}
        stated = [key for key in ("labels", "splits") if content.get(key)]
        stated += [
            key
            for key, value in meant.items()
            if content.get(key, value) not in (value, "auto", None)
        ]
        if stated:
            raise ValueError(
                f"role unlabelled: leave out {' and '.join(stated)}, or leave out the role"
            )
        return {**content, **meant}

    @model_validator(mode="after")
    def _splits_are_read(self) -> Source:
        if self.splits and self.layout in ("class_folders", "leaf_folders", "flat"):
            raise ValueError(
                f"layout {self.layout} reads no splits: leave out `splits`, or choose a split_... layout"
            )
        return self

    @model_validator(mode="after")
    def _subject_is_told_once(self) -> Source:
        if self.subject_from is None:
            return self
        if self.subjects:
            raise ValueError("subjects and subject_from both tell the subject: keep one of them")
        if not is_pattern(self.subject_from) and not self.labels:
            raise ValueError(
                f"subject_from: without {SUBJECT} it names a column of the labels file, and the source has no labels"
            )
        return self

    @field_validator("subject_from")
    @classmethod
    def _is_a_pattern_or_a_column(cls, subject_from: str | None) -> str | None:
        if subject_from and is_pattern(subject_from):
            check_pattern(subject_from)
        return subject_from

    @field_validator("labels")
    @classmethod
    def _labels_readable_here(cls, labels: str | LabelsFile | None) -> str | LabelsFile | None:
        cls._readable_here(labels.file if isinstance(labels, LabelsFile) else labels)
        return labels

    @field_validator("uri", "votes", "subjects")
    @classmethod
    def _readable_here(cls, uri: str | None) -> str | None:
        scheme = re.match(r"^([A-Za-z][A-Za-z0-9+.-]*)://", uri or "")
        if scheme and scheme[1] not in SCHEMES:
            raise ValueError(
                f"{scheme[1]}:// cannot be read: name a local path, s3://bucket/prefix or https://host/file"
            )
        if uri is not None and redacted(uri) != uri:
            raise ValueError(
                "an address with a secret in it: params.yaml is committed; S3 finds credentials by itself"
            )
        if uri is not None and re.fullmatch(r"s3:/*", uri):
            raise ValueError("the bucket is missing: s3://bucket/prefix")
        return uri


def sources_as_json(sources: tuple[Source, ...]) -> str:
    """Return the content of sources.json: what `download` needs in addition to the listing."""
    return json.dumps([_as_dict(source) for source in sources], indent=1, sort_keys=True) + "\n"


def _as_dict(source: Source) -> dict[str, object]:
    """All keys, except newer ones that are not set: kept listings are found by this text."""
    later = ("splits", "labels", "subject_from", "role")
    return {
        key: value
        for key, value in source.model_dump().items()
        if key not in later or value is not None
    }


def read_sources(path: Path) -> tuple[Source, ...]:
    """Read sources.json. Raises OutputDamaged when it is not what `discover` wrote."""
    try:
        return tuple(
            Source.model_validate(entry) for entry in json.loads(path.read_text(encoding="utf-8"))
        )
    except (OSError, ValueError) as error:
        raise OutputDamaged(
            "not a list of sources", file=path, value=str(error), remedy="run `dvc repro discover`"
        ) from error
