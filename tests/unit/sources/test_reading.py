"""Class, split and choice of images by their names, as a source states them; and what contradicts the names."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline_lib.errors import BadData
from pipeline_lib.sources.layout import LAYOUTS, detect_layout
from pipeline_lib.sources.name_patterns import left_out_by
from pipeline_lib.sources.reading import read_names
from pipeline_lib.sources.source import Source, sources_as_json
from pipeline_lib.sources.source_doubt import doubt_of_source
from scripts.odd_folders import below, each

DEV = {"train": "train", "dev": "val"}


def source(**stated: Any) -> Source:
    return Source.model_validate({"name": "mine", "uri": "photos", **stated})


def told(name: str, **stated: Any) -> tuple[str | None, str | None]:
    reading = read_names([name], source(**stated), source="mine")
    return reading.label(name), reading.split(name)


@pytest.mark.parametrize(
    ("stated", "name", "label", "split"),
    [
        ({"class_from": "{class}_*"}, "all/shiba_inu_12.jpg", "shiba_inu", None),
        ({"class_from": "{class}_*.jpg"}, "all/cat_3.jpg", "cat", None),
        ({"class_from": "{class}.*"}, "train/cat.0.jpg", "cat", "train"),
        ({"class_from": "*/{class}/*/*"}, "x/cat/2024/1.jpg", "cat", None),
        ({"class_from": "{split}/{class}-{*}/*"}, "test/cat-7/1.jpg", "cat", "test"),
        ({"class_from": "{class} 100%"}, "oak 100%25.png", "oak", None),
        ({"split_from": "*_{split}", "depth": 0}, "cat/3_4_val.jpg", "cat", "val"),
        (
            {"split_from": "{split}_*", "splits": {"a": "test"}, "depth": 0},
            "cat/a_1.jpg",
            "cat",
            "test",
        ),
        ({"class_from": "{split}_{class}_*"}, "x/test_shiba_inu_7.jpg", "shiba_inu", "test"),
        ({"depth": 2}, "data/2024/cat/1.jpg", "cat", None),
        ({"depth": 1, "layout": "split_class_folders"}, "x/train/cat/1.jpg", "cat", "train"),
        ({"layout": "path_folders"}, "in/cat/1.jpg", "cat", None),
    ],
)
def test_names_are_read_as_stated(
    stated: dict[str, Any], name: str, label: str | None, split: str | None
) -> None:
    assert told(name, **stated) == (label, split)


def test_a_split_of_no_meaning_leaves_an_image_without_a_class() -> None:
    stated = source(class_from="{split}/{class}/*", splits={"fold0": "train"})
    names = ["fold0/cat/1.jpg", "fold1/cat/2.jpg", "loose.jpg"]

    reading = read_names(names, stated, source="mine")

    assert [reading.label(name) for name in names] == ["cat", None, None]
    assert [reading.split(name) for name in names] == ["train", None, None]


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"class_from": "{class}-*"}, "class_from of source mine fits none of its 2 images, such as train/cat/0_dev.jpg"),
        ({"depth": 7}, r"depth .* is below every image: the deepest lies in 2 folders .found: 7, .*state a depth under 2"),
        ({"split_from": "{split}/*/*", "class_from": "*_{class}"}, None),
        ({"class_from": "{split}/{class}/*", "split_from": "*_{split}"}, "0_dev.jpg: train by class_from, dev by split_from"),
        ({"split_from": "{split}_*"}, r"read texts that are no splits .found: 0, 1.*splits: .0: train"),
        ({"layout": "split_class_folders", "splits": {"trian": "train"}}, r"no image .found: trian.*exist: cat, dog"),
        ({"split_from": "{split}/*/*", "splits": {"trian": "train"}}, r"names folders that hold no image .found: trian"),
    ],
)  # fmt: skip
def test_what_the_names_contradict_is_named_with_a_remedy(
    stated: dict[str, Any], said: str | None
) -> None:
    names = ["train/cat/0_dev.jpg", "train/dog/1_dev.jpg"]

    if said is None:
        read_names(names, source(**stated), source="mine")
        return
    with pytest.raises(BadData, match=said):
        read_names(names, source(**stated), source="mine")


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"class_from": "photo_*"}, "{class} must stand in it once"),
        ({"class_from": "{class}_{subject}"}, "{subject} is one field too many"),
        ({"split_from": "//{split}"}, "a folder without a name in it"),
        ({"class_from": "{class}_*", "labels": "l.csv"}, "labels and class_from both tell the class"),
        ({"split_from": "{split}_*", "split": "test"}, "split: test and a pattern with {split} both tell"),
        ({"split_from": "{split}_*", "layout": "split_class_folders"}, "layout split_class_folders and a pattern"),
        ({"depth": 1, "layout": "flat"}, "layout flat reads no folders"),
        ({"exclude": [" "]}, "an empty pattern"),
    ],
)  # fmt: skip
def test_keys_that_contradict_each_other_are_refused(stated: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        source(**stated)


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("masks", ["masks/1.png", "cat/masks/a/1.png"], ["masks2/1.png", "cat/1.png"]),
        ("/masks", ["masks/1.png"], ["cat/masks/1.png"]),
        ("*_mask.png", ["a/1_mask.png"], ["a/1.png", "a_mask.png.jpg"]),
        ("train/*/old", ["train/cat/old/1.png"], ["cat/old/1.png", "train/old/1.png"]),
        ("**/thumbs/*.jpg", ["thumbs/1.jpg", "a/b/thumbs/1.jpg"], ["thumbs/1.png"]),
        ("a[1]", ["a[1]/x.png"], ["a1/x.png"]),
    ],
)
def test_files_are_chosen_as_in_gitignore(
    pattern: str, fitting: list[str], others: list[str]
) -> None:
    assert all(left_out_by(name, (), [pattern]) == pattern for name in fitting)
    assert not any(left_out_by(name, (), [pattern]) for name in others)
    assert not any(left_out_by(name, [pattern], ()) for name in fitting)
    assert all(left_out_by(name, [pattern], ()) == "not included" for name in others)


def test_an_entry_of_an_earlier_release_means_what_it_meant() -> None:
    """Its sources.json too, by whose text the last listing is found again."""
    entry = source(layout="split_class_folders", splits={"dev": "val", "train": "train"})
    names = [*each("train dev"), "docs/1.jpg"]

    reading = read_names(names, entry, source="mine")
    before = detect_layout(names, entry.layout, entry.splits)

    assert [(reading.label(n), reading.split(n)) for n in names] == [
        (before.label(n), before.split(n)) for n in names
    ]
    assert not {"depth", "class_from", "split_from", "include", "exclude"} & {
        word.strip('"') for word in sources_as_json((entry,)).replace(":", " ").split()
    }
    assert detect_layout(each("train dev"), "auto").kind == "class_folders"  # as in 0.2.0
    assert set(LAYOUTS) >= {"class_folders", "flat", "leaf_folders"}


@pytest.mark.parametrize(
    ("stated", "came", "said"),
    [
        ({"layout": "class_folders"}, ["docs/1.png"], "/docs .it would be a class"),
        ({"layout": "class_folders", "depth": 1}, ["misc/x/1.png"], "/misc .1 images lie outside of photos"),
        ({"layout": "split_class_folders", "splits": DEV}, ["backup/cat/1.png"], "/backup .`splits` does not name it"),
        ({"layout": "split_class_folders"}, ["extra/1.png"], "folders are named like splits"),
    ],
)  # fmt: skip
def test_a_stray_folder_on_a_later_night_is_doubted(
    stated: dict[str, Any], came: list[str], said: str
) -> None:
    usual = {
        "class_folders": below("cat", "dog", n=20),
        "split_class_folders": each("train dev" if "splits" in stated else "train val", n=20),
    }[stated["layout"]]
    if "depth" in stated:
        usual = [f"photos/{name}" for name in usual]

    assert doubt_of_source(source(**stated), usual) is None
    doubt = doubt_of_source(source(**stated), [*usual, *came])

    assert doubt is not None
    assert re.search(said, doubt.text)
    folder = f"/{came[0].split('/')[0]}"
    assert doubt_of_source(source(**stated, exclude=[folder]), [*usual, *came]) is None
