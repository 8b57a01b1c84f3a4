"""Extra test sets in the params.yaml that `perennial init` writes, and what it says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ruamel.yaml import YAML

from pipeline_lib.curate.classes import ClassWords
from pipeline_lib.curate.extra_classes import Training, map_classes
from pipeline_lib.errors import BadData
from pipeline_lib.labels.imagenet_real import find_real
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.sources.source import Source
from pipeline_lib.survey.label_choice import files_inside
from pipeline_lib.survey.look import Looked, Survey
from pipeline_lib.survey.recipe_choice import labels_in_params, quoted, reading_in_params

BEFORE = "\ndownload:\n"  # where the sources end in a new params.yaml


@dataclass(frozen=True)
class ExtraTest:
    """A surveyed set. entry: its lines in params.yaml."""

    name: str
    found: Survey
    entry: str

    @property
    def source(self) -> Source:
        """The entry as it will be read. Raises ValueError for a name that no source may have."""
        (content,) = YAML(typ="safe", pure=True).load(self.entry)
        return Source.model_validate(content)


def real_labels(looked: Looked) -> LabelsFile | None:
    """The labels of ReaL, where they are among the files of ImageNet's validation images."""
    members = frozenset(one.name for one in looked.taken)
    return next(iter(find_real(files_inside(looked.contents, looked.place), members)), None)


def extra_test(name: str, found: Survey) -> ExtraTest:
    """The entry of a set."""
    entry = (
        f"    - name: {name}\n"
        f"      uri: {quoted(found.uri)}\n"
        "      role: test  # an extra test set, scored apart and never trained on (docs/shift.md)\n"
        f"      layout: {found.keys.layout}\n{reading_in_params(found)}"
    )
    if found.labels:
        entry += f"      labels: {labels_in_params(found.labels)}\n"
    return ExtraTest(name, found, entry)


def with_extra_tests(params: str, sets: Sequence[ExtraTest]) -> str:
    """The text of a params.yaml with the sets among its sources."""
    return params.replace(BEFORE, "".join(one.entry for one in sets) + BEFORE, 1)


def in_words(one: ExtraTest, training: Survey) -> list[str]:
    """What was recognised, and which of its classes training does not have."""
    separator = one.source.label_separator or "\0"  # no name has that
    names = {part for name, _ in one.found.classes for part in name.split(separator)}
    said = [f"extra    {one.name}: {one.found.n_images} images, {len(names)} classes"]
    words = {word.class_id: ClassWords(word.class_id, word.name, "", ()) for word in training.words}
    classes = {name: name for name, _ in training.classes}
    try:
        map_classes(sorted(names), one.source, Training(classes, words))
    except BadData as error:
        said.append(f"note     {error.what} ({error.value}); {error.remedy}")
    return said
