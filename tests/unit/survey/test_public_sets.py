"""Public data sets in small, in their true layouts: what is read, and what is asked because the source means it in two ways."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline_lib.errors import BadData
from pipeline_lib.settings import Settings
from pipeline_lib.survey import Survey, survey
from scripts.odd_folders import Files, below
from testing.curated import write_source

PETS = ("cat", "dog")


def lines(*rows: str) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


def pets(folder: str = "", n: int = 6) -> Files:
    return dict.fromkeys(below(*(f"{folder}{pet}" for pet in PETS), n=n))


def numbered(n: int = 12) -> Files:
    return {f"{number:06}.jpg": None for number in range(n)}


def online_products() -> Files:
    files: Files = {}
    rows: dict[str, list[str]] = {"train": [], "test": []}
    for product in range(8):
        kind = ("bicycle", "chair")[product % 2]
        for view in range(3):
            path = f"{kind}_final/{product}_{view}.JPG"
            files[path] = None
            rows["train" if product < 4 else "test"].append(f"9 {product} {product % 2} {path}")
    head = "image_id class_id super_class_id path"
    lists = {f"Ebay_{split}.txt": lines(head, *of_split) for split, of_split in rows.items()}
    return files | lists | {"Ebay_info.txt": lines(head, *rows["train"], *rows["test"])}


def waterbirds() -> Files:
    files = dict.fromkeys(below("001.Albatross", "002.Auk", n=6))
    rows = [f"{n},{name},{n // 3 % 2},{n % 3},{n // 2 % 2}" for n, name in enumerate(files, 1)]
    return files | {"metadata.csv": lines("img_id,img_filename,y,split,place", *rows)}


def celeba() -> Files:
    persons = lines(*(f"{name} {n % 4}" for n, name in enumerate(numbered())))
    parts = lines(*(f"{name} {n // 4}" for n, name in enumerate(numbered())))
    return numbered() | {"identity_CelebA.txt": persons, "list_eval_partition.txt": parts}


def deep_fashion() -> Files:
    files = dict.fromkeys(below("img/Sheer_Blouse", "img/Slim_Jeans", "img/Wide_Jeans"))
    rows = [f"{name:<40} {26 if 'Jeans' in name else 3}" for name in files]
    head = (str(len(files)), "image_name  category_label")
    return files | {"Anno/list_category_img.txt": lines(*head, *rows)}


def food_json() -> Files:
    splits = {"train": range(4), "test": range(4, 6)}
    return pets("images/") | {
        f"meta/{split}.json": json.dumps({pet: [f"{pet}/{n}" for n in at] for pet in PETS}).encode()
        for split, at in splits.items()
    }


def scenes() -> Files:
    classes = ("a/abbey", "a/apartment/outdoor", "b/bar")
    files = dict.fromkeys(below(*classes, n=6))
    train, test = (
        [f"{one}/{n}.jpg" for one in classes for n in at] for at in ((0, 1, 2, 3), (4, 5))
    )
    return files | {"Training.txt": lines(*train), "Testing.txt": lines(*test)}


def table(head: str, *cells: str, name: str = "labels.csv") -> Files:
    """Images, and a table with these further cells, image by image, in turn."""
    rows = [f"{image},{cells[n % len(cells)]}" for n, image in enumerate(numbered())]
    return numbered() | {name: lines(f"filename,{head}", *rows)}


def split_of(name: str) -> str:
    return "test" if name.endswith(("4.jpg", "5.jpg")) else "train"


READ = {  # classes; splits
    "Food-101, lists in JSON": (food_json(), "cat 6, dog 6; test 4, train 8"),
    "SUN397, lists of splits": (scenes(), "abbey 6, apartment/outdoor 6, bar 6; test 6, train 12"),
    "EuroSAT: a number and its name": (table("Label,ClassName", "0,Forest", "1,River"), "Forest 6, River 6"),
    "class folders and a table of splits": (
        pets() | {"split.csv": lines("path,subset", *(f"{name},{split_of(name)}" for name in pets()))},
        "cat 6, dog 6; test 4, train 8",
    ),
    "class folders, and lists of splits with a word behind": (
        pets() | {"all.txt": lines(*(f"{name} {split_of(name)}" for name in pets()))},
        "cat 6, dog 6; test 4, train 8",
    ),
    "Open Images: what people did not see": (
        table("LabelName,Confidence", "/m/cat,1", "/m/dog,0", "/m/dog,1"), "/m/cat 4, /m/dog 4",
    ),
    "columns between blanks": (
        numbered() | {"labels.txt": lines("image label", *(f"{name}  {PETS[n % 2]}" for n, name in enumerate(numbered())))},
        "cat 6, dog 6",
    ),
    "Imagenette: a table that repeats the folders": (
        pets() | {"noisy.csv": lines("path,noisy_0,noisy_5", *(f"{one},{one[:3]},cat" for one in pets()))},
        "cat 6, dog 6",
    ),
    "two lists, of which one is part of the other": (
        numbered() | {
            "labels.csv": lines("file,label", *(f"{name},{PETS[n % 2]}" for n, name in enumerate(numbered()))),
            "some.csv": lines("image,label", *(f"{name},{PETS[n % 2]}" for n, name in enumerate(numbered(4)))),
        },
        "cat 6, dog 6",
    ),
}  # fmt: skip
ASKED = {
    "splits by number": (
        pets() | {"split.csv": lines("path,split", *(f"{one},{n % 3}" for n, one in enumerate(pets())))},
        "folders tell classes, and so may split.csv, which cannot be read as it is (column split",
    ),
    "Waterbirds": (waterbirds(), "folders may be the classes, or a column of a table"),
    "CelebA": (celeba(), "several files label these images"),
    "DeepFashion": (deep_fashion(), "folders and a file label these images differently"),
    "Stanford Online Products": (online_products(), "folders and a file label these images differently"),
}  # fmt: skip
REFUSED = {
    "CheXpert: 1, 0, -1 and nothing": (
        table("Edema,Fracture,Devices", "1.0,,1.0", ",-1.0,1.0", ",1.0,0.0"), "no column is named like a class",
    ),
}  # fmt: skip


def surveyed(tmp_path: Path, files: Files) -> Survey:
    write_source(tmp_path / "pics", files)
    return survey("pics", Settings(workers=1), root=tmp_path)


def counts(pairs: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {n}" for name, n in pairs)


@pytest.mark.parametrize("case", READ)
def test_a_public_set_is_read_as_it_means(case: str, tmp_path: Path) -> None:
    files, expected = READ[case]

    found = surveyed(tmp_path, files)

    assert (found.doubt, found.labels_doubt) == (None, None)
    assert "; ".join(filter(None, (counts(found.classes), counts(found.splits)))) == expected


@pytest.mark.parametrize("case", ASKED)
def test_what_a_public_set_leaves_open_is_asked(case: str, tmp_path: Path) -> None:
    files, why = ASKED[case]

    found = surveyed(tmp_path, files)

    assert found.labels_doubt is not None
    assert found.labels_doubt.why.startswith(why)


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_table_of_a_public_set_leaves_open_is_named(case: str, tmp_path: Path) -> None:
    files, message = REFUSED[case]

    with pytest.raises(BadData, match=message):
        surveyed(tmp_path, files)


def test_a_table_that_is_not_used_is_named_with_the_way_to_use_it(tmp_path: Path) -> None:
    rows = [f"{name},{('soft', 'hard')[n % 2]}" for n, name in enumerate(pets())]

    found = surveyed(tmp_path, pets() | {"about.csv": lines("filename,touch", *rows)})

    assert counts(found.classes) == "cat 6, dog 6"
    assert any("`--labels about.csv --label-column NAME`" in one for one in found.problems)


def test_classes_that_no_training_image_has_are_named(tmp_path: Path) -> None:
    """Few-shot sets have other classes in each split, as mini-ImageNet does."""
    of_split = {"train": ("cat", "dog"), "val": ("owl",), "test": ("yak",)}
    files: Files = {}
    for split, classes in of_split.items():
        names = [f"{one}{n}.jpg" for one in classes for n in range(4)]
        files |= dict.fromkeys(names)
        files[f"{split}.csv"] = lines("filename,label", *(f"{one},{one[:3]}" for one in names))

    found = surveyed(tmp_path, files)

    assert counts(found.splits) == "test 4, train 8, val 4"
    assert (
        "2 classes have no training image and can never be predicted: owl, yak." in found.problems
    )
