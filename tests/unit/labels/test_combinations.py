"""Classes that are several in one are found, and names of several words are none."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest

from pipeline_lib.errors import LabelsUndecided
from pipeline_lib.labels.combinations import combinations
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.formats import read_labels
from pipeline_lib.labels.params import LabelsFile

MEMBERS = frozenset({"1.jpg", "2.jpg", "3.jpg"})


@pytest.mark.parametrize(
    ("labels", "are_lists", "found"),
    [
        ("Hernia, Mass, Mass|Hernia", False, {"Mass|Hernia": "Hernia|Mass"}),
        ("cat; cat;dog", False, {"cat;dog": "cat|dog"}),
        ("0; 3; 0 3; 3, 29", False, {"0 3": "0|3", "3, 29": "29|3"}),
        ("cat; dog; dog, cat", False, {"dog, cat": "cat|dog"}),
        ("scab; rust; scab rust; healthy", False, {"scab rust": "rust|scab"}),
        ("clear primary; haze primary", True, {"clear primary": "clear|primary", "haze primary": "haze|primary"}),
        ("goldfish, Carassius auratus; bullfrog, Rana catesbeiana", False, {}),
        ("polar bear; brown bear; clear sky", False, {}),
        ("A300 B4; 707-320; AM General Hummer SUV 2000", False, {}),
        ("polar bear; hare", True, {}),
        ("2021; 7", False, {}),
    ],
)  # fmt: skip
def test_what_names_several_classes_is_told_from_one_of_several_words(
    labels: str, are_lists: bool, found: Mapping[str, str]
) -> None:
    between = ", " if "|" in labels else "; "

    assert combinations(labels.split(between), are_lists=are_lists) == found


def read(text: str, **stated: str) -> Mapping[str, str]:
    files = Files({"l.csv": lambda: io.BytesIO(text.encode())})
    file = LabelsFile.model_validate({"file": "l.csv", **stated})
    return read_labels(files, file, file="l.csv", members=MEMBERS).class_of


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("image,label\n1.jpg,a|b\n2.jpg,a\n3.jpg,b|a\n", {}),
        ("image,tags\n1.jpg,a b\n2.jpg,a\n3.jpg,b a\n", {}),
        ("image,a,b\n1.jpg,1,1\n2.jpg,1,0\n3.jpg,1,1\n", {"format": "one_hot"}),
        ('image,choice\n1.jpg,"{""choices"": [""a"", ""b""]}"\n2.jpg,a\n3.jpg,a|b\n', {}),
    ],
)
def test_several_classes_of_an_image_are_asked_about_and_never_one_class(
    text: str, stated: dict[str, str]
) -> None:
    with pytest.raises(LabelsUndecided, match="2 of 3 images have several classes") as asked:
        read(text, **stated)

    assert (asked.value.key, asked.value.choices) == ("several", ("leave_out", "combined"))
    assert read(text, **stated, several="leave_out") == {"2.jpg": "a"}
    combined = {"1.jpg": "a|b", "2.jpg": "a", "3.jpg": "a|b"}
    assert read(text, **stated, several="combined") == combined
