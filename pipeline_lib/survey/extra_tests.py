"""What `perennial init` says of extra test sets."""

from __future__ import annotations

from pipeline_lib.curate.classes import ClassWords
from pipeline_lib.curate.extra_classes import Training, map_classes
from pipeline_lib.errors import BadData
from pipeline_lib.labels.imagenet_real import find_real
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.survey.entries import SurveyedSource
from pipeline_lib.survey.label_choice import files_inside
from pipeline_lib.survey.look import Looked, Survey


def real_labels(looked: Looked) -> LabelsFile | None:
    """The labels of ReaL, where they are among the files of ImageNet's validation images."""
    members = frozenset(one.name for one in looked.taken)
    return next(iter(find_real(files_inside(looked.contents, looked.place), members)), None)


def in_words(one: SurveyedSource, training: Survey) -> list[str]:
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
