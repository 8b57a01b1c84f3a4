"""Subjects read from the names of images: the pattern of `subject_from`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipeline_lib.sources.source import Source
from pipeline_lib.sources.subjects import subjects_by_name


@pytest.mark.parametrize(
    ("pattern", "name", "subject"),
    [
        ("{subject}_*", "cat/person01_003.jpg", "person01"),
        ("{subject}_*", "cat/ben_smith_003.jpg", "ben_smith"),  # the longest that fits
        ("{subject}_*_*", "p01_c2_003.png", "p01"),
        ("{subject}_*", "cat/007.jpg", None),
        ("{subject}_*", "a_b/007.jpg", None),  # of the file name alone
        ("{subject}/*", "train/cat/alice/7.jpg", "alice"),
        ("{subject}/*/*", "alice/cat/7.jpg", "alice"),
        ("{subject}/*", "7.jpg", None),
        ("IMG_{subject}??", "cat/IMG_20240101_120001.jpg", "20240101_1200"),
        ("*_{subject}_*", "cam1_anna_2.jpg", "anna"),
        ("{subject}.rf.*", "IMG_1_jpg.rf.0a1b.jpg", "IMG_1_jpg"),
        ("{subject}(*)", "pair (1).png", "pair "),
        ("{subject} 100%", "oak 100%25.png", "oak"),  # as names are stored
    ],
)
def test_a_pattern_names_the_subject(pattern: str, name: str, subject: str | None) -> None:
    assert subjects_by_name(pattern, [name]).get(name) == subject


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"subject_from": "{subject}_{subject}"}, "{subject} must stand in it once"),
        ({"subject_from": "/{subject}"}, "a folder without a name in it: write [*] for any folder"),
        ({"subject_from": "person"}, "names a column of the labels file, and the source has no"),
        ({"subject_from": "{subject}_*", "subjects": "s.csv"}, "both tell the subject: keep one"),
    ],
)
def test_what_cannot_tell_subjects_is_refused(more: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Source(name="mine", uri="photos", **more)


def test_a_column_of_the_labels_file_may_tell_subjects() -> None:
    source = Source(name="mine", uri="photos", labels="labels.csv", subject_from="person")

    assert (source.subject_column, source.subject_pattern) == ("person", None)
