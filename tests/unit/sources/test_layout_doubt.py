"""Folders that can be read in more than one way, and ordinary ones, which must pass without a question."""

from __future__ import annotations

import pytest

from pipeline_lib.sources.doubt import Reading, doubt_of_file_names, find_doubt
from pipeline_lib.sources.recognise import Listing, recognise, set_aside
from pipeline_lib.sources.split_names import split_names
from scripts import odd_folders
from scripts.odd_folders import below, each


def readings(names: list[str], archives: tuple[str, ...] = ()) -> dict[str, Reading]:
    doubt = find_doubt(names, archives)
    return {one.layout: one for one in doubt.readings} if doubt else {}


def classes(reading: Reading) -> str:
    return " ".join(name for name, _ in reading.classes)


DOUBTFUL = {  # the likeliest reading, its classes and splits
    "train, dev, testing": ("split_class_folders", "cat dog", "dev:val testing:test train:train"),
    "train and eval": ("split_class_folders", "cat dog", "eval:val train:train"),
    "train, val and eval": ("split_class_folders", "cat dog", "eval:test train:train val:val"),
    "trainval and test": ("split_class_folders", "cat dog", "test:test trainval:train"),
    "training_set and test_set": (
        "split_class_folders",
        "cat dog",
        "test_set:test training_set:train",
    ),
    "images_train and images_val": (
        "split_class_folders",
        "cat dog",
        "images_train:train images_val:val",
    ),
    "Training, validation-set": (
        "split_class_folders",
        "cat dog",
        "Training:train validation-set:val",
    ),
    "pets_train beside pets_test": (
        "split_class_folders",
        "cat dog",
        "pets_test:test pets_train:train",
    ),
    "German names": ("split_class_folders", "cat dog", "Testdaten:test Trainingsdaten:train"),
    "a fourth folder beside the splits": (
        "split_class_folders",
        "cat dog",
        "test:test train:train val:val",
    ),
    "train and a folder of figures": ("split_class_folders", "cat dog", "train:train"),
    "train, test and unlabelled images": (
        "split_class_folders",
        "cat dog",
        "test:test train:train",
    ),
    "flat dev, train, testing": ("split_class_folders", "", "dev:val testing:test train:train"),
    "superclasses": ("leaf_folders", "car cat dog plane", ""),
    "superclasses of one class each": ("leaf_folders", "car cat", ""),
    "superclasses below splits": ("split_leaf_folders", "car cat dog", "test:test train:train"),
    "folds": ("leaf_folders", "cat dog", ""),
    "folds by number": ("leaf_folders", "cat dog", ""),
    "sessions that repeat the classes": ("leaf_folders", "cat dog", ""),
    "nested wnids": ("leaf_folders", "n02084071 n02121808 n02958343", ""),
    "images and masks": ("flat", "", ""),
    "images and annotations, with classes": ("leaf_folders", "cat dog", ""),
    "class, then split": ("class_split_folders", "cat dog", "test:test train:train val:val"),
    "class, then split and something else": (
        "class_split_folders",
        "cat dog",
        "train:train val:val",
    ),
    "one folder beside loose images": ("leaf_folders", "cat dog", ""),
}


ROWS = {**odd_folders.RECOGNISED, **odd_folders.ASKED}
OTHERS = {
    "superclasses of one class each": below("animals/cat", "vehicles/car"),
    "folds by number": each("fold_1 fold_2"),
    "images and masks": below("images", "masks"),
}


def names_of(case: str) -> list[str]:
    if case in OTHERS:
        return OTHERS[case]
    return [name for name, data in ROWS[case].files.items() if data is None]


@pytest.mark.parametrize("case", DOUBTFUL)
def test_a_doubtful_folder_has_the_right_reading_beside_the_plain_one(case: str) -> None:
    layout, expected, splits = DOUBTFUL[case]

    found = readings(names_of(case))

    assert classes(found[layout]) == expected
    assert " ".join(f"{folder}:{split}" for folder, split in found[layout].splits.items()) == splits
    assert next(iter(found)) == layout or "annotations" in case
    assert "class_folders" in found or "split_class_folders" in found
    assert len(found) > 1


def test_archives_as_folders_are_judged_by_their_names() -> None:
    shards = tuple(f"{n:06}" for n in range(3))
    ilsvrc = ("ILSVRC2012_img_train", "ILSVRC2012_img_val")

    assert list(readings(below(*shards), shards)) == ["flat", "class_folders"]
    assert (
        next(iter(readings(below("birds-0000", "birds-0001"), ("birds-0000", "birds-0001"))))
        == "flat"
    )
    found = readings([*below(f"{ilsvrc[0]}/n01", f"{ilsvrc[0]}/n02"), *below(ilsvrc[1])], ilsvrc)
    assert found["split_class_folders"].split_counts == (("train", 4), ("val", 2))
    assert (classes(found["split_class_folders"]), found["split_class_folders"].n_without) == (
        "n01 n02",
        2,
    )
    assert not readings(below("n01", "n02"), ("n01", "n02"))
    assert not readings(
        below(*shards)
    )  # folders of such names are classes, as in the German traffic signs


ORDINARY = (
    "cat dog", "0 1 2 3 4 5 6 7 8 9", "0 1", "00 01 02", "00000 00001 00042", "n01440764 n01443537 n01484850",
    "airplane automobile bird cat deer dog frog horse ship truck",
    "daisy dandelion roses sunflowers tulips",
    "train plane car", "train bus tram", "bullet_train steam_train car", "test cat", "train", "test", "normal abnormal",
    "positive negative", "good defect", "ok nok", "NORMAL PNEUMONIA", "benign malignant",
    "covid normal viral_pneumonia",
    "with_mask without_mask mask_weared_incorrect", "mask no_mask", "hot_dog not_hot_dog", "paper rock scissors",
    "anger disgust fear happy neutral sad surprise", "buildings forest glacier mountain sea street", "a b c d e",
    "A B C space nothing del", "class_0 class_1", "grade_1 grade_2 grade_3", "stage1 stage2", "type_1 type_2 type_3",
    "label_a label_b", "apple_pie baby_back_ribs baklava", "001.Black_footed_Albatross 002.Laysan_Albatross",
    "Apple___healthy Apple___scab", "dev_board breadboard", "photos paintings", "image text", "depth_sensor camera",
    "male female", "young old", "yes no", "real fake", "eval_form invoice letter", "training_shoe sandal boot",
    "validation_stamp postmark", "image frame", "unknown known", "crossing stop yield", "train_station airport",
)  # fmt: skip


@pytest.mark.parametrize("row", odd_folders.ORDINARY.values(), ids=odd_folders.ORDINARY)
def test_the_ordinary_folders_of_the_docs_raise_no_question(row: odd_folders.Row) -> None:
    assert find_doubt(row.files) is None
    assert recognise(Listing(tuple(row.files))) is None
    assert set_aside(list(row.files)) == {}


@pytest.mark.parametrize("names", ORDINARY)
def test_ordinary_class_folders_pass_without_a_question(names: str) -> None:
    tops = names.split()

    assert find_doubt(below(*tops)) is None
    assert find_doubt(below(*(f"photos of mine/{top}" for top in tops))) is None
    for splits in ("train test", "train val test", "Train Validation", "training testing"):
        assert find_doubt(each(splits, names)) is None


def test_what_is_ordinary_beside_class_folders_raises_no_doubt() -> None:
    assert find_doubt([*below("cat", "dog"), "banner.png"]) is None
    assert find_doubt(below("cat/images", "dog/images")) is None
    assert find_doubt([*below("cat", "dog", n=30), "cat/old/1.jpg", "dog/spare/2.jpg"]) is None
    assert find_doubt(["a.jpg", "b.jpg"]) is None
    assert find_doubt([]) is None
    assert (
        find_doubt([*below("train/cat", "train/dog"), *below("val")]) is None
    )  # as Kaggle's ImageNet has it


@pytest.mark.parametrize(
    ("siblings", "expected"),
    [
        ("dev_set train_set", {"dev_set": "val", "train_set": "train"}),
        ("TRAIN Test-Images", {"TRAIN": "train", "Test-Images": "test"}),
        ("bullet_train steam_train", {}),
        ("train2017 val2017", {"train2017": "train", "val2017": "val"}),
        ("train train2 test", {"train": "train", "test": "test"}),
        ("train_2017 val_2017", {"train_2017": "train", "val_2017": "val"}),
        ("cifar-train cifar-test cifar", {"cifar-train": "train", "cifar-test": "test"}),
    ],
)
def test_names_of_splits_are_told_from_names_of_classes(
    siblings: str, expected: dict[str, str]
) -> None:
    assert split_names(siblings.split()) == expected


@pytest.mark.parametrize(
    ("folders", "why"),
    [
        ("bounding_box_train bounding_box_test query", "folders are named like splits"),
        ("patient00001 patient00002", "folders are numbered like parts of one data set"),
        ("train/subject_1 train/subject_2", "folders are numbered like parts of one data set"),
        ("train/a train/b test/c test/d", "no folder of train is named c, d"),
        ("benign/SOB/adenosis malignant/SOB/ductal", "images lie in folders inside folders"),
    ],
)
def test_folders_that_are_probably_no_classes_are_asked_about(folders: str, why: str) -> None:
    doubt = find_doubt(below(*folders.split()))

    assert doubt is not None
    assert doubt.why.startswith(why)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ("0_frog 1_ship 2_frog 3_ship", "*_{class}"),
        ("12-cat 13-dog 14-cat 15-dog", "*-{class}"),
        ("cat_0 cat_1 dog_2 dog_3", "{class}_*"),
        ("20210101_1200 20210102_1200 20210103_1300", None),
        ("1_2 3_2 4_5 6_5", None),
    ],
)
def test_classes_in_names_of_files_stand_before_or_after_a_number(
    names: str, pattern: str | None
) -> None:
    doubt = doubt_of_file_names([f"{name}.png" for name in names.split()])

    assert (doubt.readings[0].class_from if doubt else None) == pattern
