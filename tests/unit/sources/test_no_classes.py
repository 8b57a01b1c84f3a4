"""Folders that hold one patient, place, day or image each are told from classes, by names alone."""

from __future__ import annotations

import pytest

from pipeline_lib.sources.doubt import find_doubt
from pipeline_lib.sources.no_classes import are_parts
from pipeline_lib.sources.source_doubt import stand_in
from scripts.odd_folders import below, each

BANDS = ("B02", "B03", "B04", "B8A")
WORDS = "ant bear cat dog eel fox goat hen ibis jay kiwi lynx"
SPECIES = [f"{genus} {name}" for genus in ("Larus", "Pica", "Turdus") for name in WORDS.split()]
DOUBTFUL = {
    "bands of a satellite image": (
        [f"S2A_{n}/S2A_{n}_{band}.tif" for n in range(12) for band in BANDS],
        "nearly all of 12 folders hold files of the same names",
    ),
    "sequences of a scan, below a split": (
        [
            f"train/Brats_{letter}/{one}.png"
            for letter in "abcdefghijklmno"
            for one in ("t1", "t2", "flair")
        ],
        "nearly all of 15 folders hold files of the same names",
    ),
    "bursts with random names": (
        [f"{n * 7919 + 10**9:x}ab/{i}.jpg" for n in range(12) for i in range(3)],
        "12 folders are named by ids and hold 3.0 images each",
    ),
    "persons by number": (
        [f"{n * 17:04}/{i}.jpg" for n in range(3, 15) for i in range(4)],
        "12 folders are named by ids and hold 4.0 images each",
    ),
    "a folder for each image": (
        [f"{word}/{n}.png" for n, word in enumerate(WORDS.split())],
        "there are nearly as many folders as images",
    ),
    "days": (below("2024-05-01", "2024-05-02", n=9), "folders are named by dates"),
    "years": (below("2019", "2020", "2021", n=9), "folders are named by dates"),
    "places": (below("loc_3", "loc_17", n=9), "folders are numbered like parts"),
    "scenes with names": (below("scene_alpha", "scene_beta", n=9), "folders are numbered like parts"),
    "slides": (below("patient_004_node_0", "patient_017_node_4"), "folders are numbered like parts"),
    "halves of one set": (below("VG_100K", "VG_100K_2", n=9), "folders are numbered like parts"),
}  # fmt: skip
ORDINARY = {
    "many classes of few images": below(*WORDS.split(), n=3),
    "classes of one image among others": [*below(*SPECIES[:30], n=6), *below(*SPECIES[30:], n=1)],
    "faces: most persons have one or two images": [
        f"{name.replace(' ', '_')}/{i}.jpg" for at, name in enumerate(SPECIES) for i in range(1 + at % 3)
    ],
    "numbered classes": below(*(f"{n:05}" for n in range(12)), n=3),
    "numbered classes, from 1": below(*(f"class_{n}" for n in range(1, 13)), n=3),
    "wnids": below(*(f"n{n * 7919 + 10**7}" for n in range(12)), n=3),
    "persons with many images": below(*(f"n{n * 17:06}" for n in range(3, 15)), n=8),
    "classes with numbers": below(*(f"{n:03}.{word}" for n, word in enumerate(WORDS.split())), n=3),
    "aircraft": below("707-320", "727-200", "737-300", "A300B4", n=2),
    "below splits": each("train val", WORDS, n=2),
}  # fmt: skip


@pytest.mark.parametrize("case", DOUBTFUL)
def test_what_is_no_class_is_asked_about(case: str) -> None:
    names, why = DOUBTFUL[case]

    doubt = find_doubt(names)

    assert doubt is not None
    assert doubt.why.startswith(why)
    assert "flat" in {one.layout for one in doubt.readings}
    assert {"class_folders", "split_class_folders"} & {one.layout for one in doubt.readings}


@pytest.mark.parametrize("case", ORDINARY)
def test_classes_of_few_images_are_not(case: str) -> None:
    assert find_doubt(ORDINARY[case]) is None


def test_archives_that_were_not_opened_are_no_folders_of_one_image_each() -> None:
    names = [f"n{n * 7919 + 10**7}" for n in range(12)]

    assert find_doubt([stand_in(f"{name}.tar") for name in names], names) is None


def test_numbers_without_a_word_are_no_parts() -> None:
    assert not are_parts({"1", "12", "13"})
    assert not are_parts({"c0", "c1", "c2"})
    assert are_parts({"images", "images2", "images_3"})
