"""A source of images: one entry of `discover.sources`, and sources.json, which hands the entries to `download`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipeline_lib.errors import OutputDamaged
from pipeline_lib.labels.combinations import BETWEEN
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.params_file import Params
from pipeline_lib.safe_text import redacted
from pipeline_lib.sources import name_patterns
from pipeline_lib.sources.layout import READS_SPLITS
from pipeline_lib.sources.name_patterns import has_field
from pipeline_lib.sources.names import is_archive
from pipeline_lib.sources.roles import OF_TEST_SETS, ROLE, Role, with_role
from pipeline_lib.sources.schemes import SCHEMES, form_in_place_of, scheme_of
from pipeline_lib.sources.subjects import SUBJECT, check_pattern, is_pattern

ClassMap = dict[str, str | None]
LayoutName = Literal[
    "auto",
    "class_folders",
    "split_class_folders",
    "class_split_folders",
    "leaf_folders",
    "split_leaf_folders",
    "path_folders",
    "flat",
]
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
        description="where the source is: an archive (tar, zip), a folder, s3://bucket/prefix, gs://bucket/prefix, "
        "az://container/prefix, or https:// addresses of files (several with spaces between them), or a list of such "
        "addresses (.txt, or .csv with a column url)",
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
    role: Role | None = Field(None, description=ROLE)
    depth: int | None = Field(
        None,
        ge=0,
        le=100,
        description="number of folders above the first that names a split or class; null: as many as all images share",
    )
    class_from: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="class by the images' names instead of class folders: a pattern such as '{class}_*' (cat_003.jpg) or "
        "'{split}/{class}/*', which reads the split too (docs/layouts.md)",
    )
    split_from: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="split by the images' names instead of folders: a pattern such as '*_{split}' (0017_val.jpg); `splits` "
        "says what other texts than train, val and test stand for",
    )
    include: tuple[str, ...] = Field(
        (),
        description="patterns of the files to take, as in .gitignore: 'photos', '*.jpg', 'a/*/b'; others are removed as "
        "excluded_by_pattern. Empty: all",
    )
    exclude: tuple[str, ...] = Field(
        (),
        description="patterns of files to leave out, as in .gitignore: 'masks' (a folder or file anywhere), '*_mask.png'; "
        "they are removed as excluded_by_pattern",
    )
    split: SplitName | None = Field(
        None, description="split of the whole source, for instance of a test set published apart"
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

    class_map: str | ClassMap | None = Field(
        None,
        description="class of training for each class name of an extra test set: a CSV file with the columns received, class, "
        "or the pairs themselves; an empty class leaves the images out. Names that are not in it must be today's classes",
    )
    other_classes: Literal["leave_out"] | None = Field(
        None,
        description="what happens to images of an extra test set whose class is none of training. leave_out: they are removed "
        "as label_unknown. null: the line stops and names the classes",
    )
    restrict_to_its_classes: bool | None = Field(
        None,
        description="whether predictions for an extra test set are chosen among its own classes only. null: only for "
        "ImageNet-A and ImageNet-R, whose papers do so",
    )

    def __hash__(self) -> int:
        return hash((self.name, self.uri))  # `splits` is a dict

    @property
    def label_separator(self) -> str | None:
        """The text between the right classes of an image of an extra test set; None where each image has one class."""
        labels = self.labels_stated
        if self.role != "test" or labels is None:
            return None
        names_several = labels.format == "imagenet_real" or labels.several == "combined"
        return BETWEEN if names_several else None

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
    def _keys_fit_the_role(cls, content: object) -> object:
        return with_role(content) if isinstance(content, dict) else content

    @model_validator(mode="after")
    def _splits_are_read(self) -> Source:
        by_pattern = self.split_from is not None or has_field(self.class_from, "split")
        if by_pattern and (self.split or self.layout in READS_SPLITS):
            also = f"split: {self.split}" if self.split else f"layout {self.layout}"
            raise ValueError(f"{also} and a pattern with {{split}} both tell the split: keep one")
        if self.splits and self.layout not in {"auto", *READS_SPLITS} and not by_pattern:
            raise ValueError(
                f"layout {self.layout} reads no splits: leave out `splits`, or choose a split_... layout"
            )
        return self

    @model_validator(mode="after")
    def _class_is_told_once(self) -> Source:
        if self.class_from and self.labels:
            raise ValueError("labels and class_from both tell the class: keep one of them")
        if self.depth is not None and self.layout == "flat":
            raise ValueError("layout flat reads no folders: leave out depth")
        return self

    @model_validator(mode="after")
    def _several_classes_are_tested_only(self) -> Source:
        labels = self.labels_stated
        if labels and labels.format == "imagenet_real" and self.role != "test":
            raise ValueError(
                "imagenet_real has several right classes per image, which can be tested, not trained on: add role: test"
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

    @field_validator("class_from")
    @classmethod
    def _reads_a_class(cls, class_from: str | None) -> str | None:
        if class_from:
            name_patterns.check_pattern(class_from, needs="class", allows=["split"])
        return class_from

    @field_validator("split_from")
    @classmethod
    def _reads_a_split(cls, split_from: str | None) -> str | None:
        if split_from:
            name_patterns.check_pattern(split_from, needs="split")
        return split_from

    @field_validator("include", "exclude")
    @classmethod
    def _chooses_files(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        if any(not pattern.strip("/ ") for pattern in patterns):
            raise ValueError("an empty pattern: write the name of a file or folder, * for any text")
        return patterns

    @field_validator("class_map", mode="before")
    @classmethod
    def _numbers_are_names(cls, class_map: object) -> object:
        """YAML reads the folder names 0 to 999 as numbers."""
        if isinstance(class_map, str):
            return cls._readable_here(class_map)
        if not isinstance(class_map, dict):
            return class_map
        return {
            str(received): None if name in (None, "") else str(name)
            for received, name in class_map.items()
        }

    @field_validator("labels")
    @classmethod
    def _labels_readable_here(cls, labels: str | LabelsFile | None) -> str | LabelsFile | None:
        cls._readable_here(labels.file if isinstance(labels, LabelsFile) else labels)
        return labels

    @field_validator("uri", "votes", "subjects")
    @classmethod
    def _readable_here(cls, uri: str | None) -> str | None:
        scheme = scheme_of(uri or "")
        if scheme and scheme not in SCHEMES:
            raise ValueError(f"{scheme}:// cannot be read: name {form_in_place_of(scheme)}")
        if uri is not None and redacted(uri) != uri:
            raise ValueError(
                "an address with a secret in it: params.yaml is committed; credentials come from the environment"
            )
        if uri is not None and (empty := re.fullmatch(r"(s3|gs|az):(/*|///.*)", uri)):
            raise ValueError(f"the bucket is missing: {empty[1]}://bucket/prefix")
        return uri


def sources_as_json(sources: tuple[Source, ...]) -> str:
    """Return the content of sources.json: what `download` needs in addition to the listing."""
    return json.dumps([_as_dict(source) for source in sources], indent=1, sort_keys=True) + "\n"


def _as_dict(source: Source) -> dict[str, object]:
    """All keys, except newer ones that are not set: kept listings are found by this text."""
    later = {"splits", "labels", "subject_from", "depth", "class_from", "split_from", "role"}
    unset = {**dict.fromkeys({*later, *OF_TEST_SETS}), "include": (), "exclude": ()}
    return {
        key: value
        for key, value in source.model_dump().items()
        if key not in unset or value != unset[key]
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
