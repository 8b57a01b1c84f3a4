"""Sources as people have them, in small, and what is read from each: the table of docs/layouts.md.

Every row goes through `curate` in tests/unit/survey/test_layouts.py, which compares what came out with `reads`; the doubtful
ones are also the cases of tests/unit/sources/test_layout_doubt.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

HEAD: Final = """\
`perennial init FOLDER` reads the names of your images and says what it recognised, with counts, three examples and what it
leaves out. Where names leave one reading, it is taken. Where they leave several, `init` asks on a terminal; elsewhere it ends
with 2 and names the choices. The answer is stored in `params.yaml` and not asked for again. Every row below is a test: a small
source in this layout, through `curate`.

| option of `init` | key of the source | what it says |
|---|---|---|
| `--layout NAME` | `layout` | which folder is the class, and which the split ([labels](labels.md#doubtful-folders)) |
| `--splits fold0=train,fold1=val` | `splits` | what folders, or the texts of `--split-from`, stand for |
| `--depth 2` | `depth` | the number of folders above the first that names a split or class |
| `--class-from '{class}_*'` | `class_from` | the class by a pattern of names; `'{split}/{class}/*'` reads the split too |
| `--split-from '*_{split}'` | `split_from` | the split by a pattern of names |
| `--include 'photos'` | `include` | the files to take, as in .gitignore; repeatable |
| `--exclude '*_mask.png'` | `exclude` | the files to leave out, as in .gitignore; `none`: leave nothing out, not even masks |

In a pattern, `{class}` is the longest text that fits, `{split}` a folder or one word of a name, `*` any text and `?` one
character. Folders are counted from the image upwards; the file extension is not part of the name unless the pattern ends with
one. What `include` and `exclude` leave out is in the manifest as `excluded_by_pattern`; loose files of this kind are not even
read.
"""
Files = dict[str, Any]  # name -> bytes; None: an image; a mapping: an archive of such files
MANY = 8  # images of a class where splits are drawn


@dataclass(frozen=True)
class Row:
    """A small source. reads: classes and published splits with their images, as `cat 2, dog 2; train 4`.

    said: keys of a SourceAnswer that a person says, as params.yaml would state them. left_out: images that patterns leave
    out. without: images of no class. asks: part of the question without `said`; "" where nothing is asked.
    """

    files: Files
    reads: str
    said: Mapping[str, Any] = field(default_factory=dict)
    left_out: int = 0
    without: int = 0
    asks: str = ""


def below(*folders: str, n: int = 2) -> list[str]:
    """Names of n images in each folder."""
    return [f"{folder}/{number}.jpg" for folder in folders for number in range(n)]


def each(outer: str, inner: str = "cat dog", n: int = 2) -> list[str]:
    """Names of images where every folder of `outer` holds all folders of `inner`."""
    folders = [f"{one}/{other}" for one in outer.split() for other in inner.split()]
    return below(*folders, n=n)


def files(*names: str, **texts: str) -> Files:
    """Images of these names."""
    return dict.fromkeys(names) | {name: text.encode() for name, text in texts.items()}


def tree_of(row: Row) -> str:
    """The folders of a source, shortened: `train/cat, train/dog, val/cat, ...`."""
    names = [name for name, data in row.files.items() if not isinstance(data, bytes)]
    folders = list(
        dict.fromkeys(
            name if row.files[name] else name.rpartition("/")[0] or name for name in names
        )
    )
    return ", ".join(f"`{folder}`" for folder in folders[:4]) + (
        ", ..." if len(folders) > 4 else ""
    )


def cells(row: Row) -> tuple[str, ...]:
    """The cells of a row of docs/layouts.md, which a test compares with what `curate` makes of the source."""
    classes, _, splits = row.reads.partition("; ")
    said = options_of(row) or ("a choice" if row.asks else "")
    numbers = (str(row.left_out or ""), str(row.without or ""))
    return tree_of(row), said, classes or "none", splits, *numbers


def options_of(row: Row) -> str:
    """What a person adds to `perennial init FOLDER`."""
    said = []
    for key, value in row.said.items():
        option = f"--{key.replace('_', '-')}"
        if key == "splits":
            value = ",".join(f"{folder}={split}" for folder, split in value.items())
        values = value if isinstance(value, tuple) else (value,)
        said += [f"`{option} {one}`" for one in values]
    return " ".join(said)


def _split(text: str, *splits: str) -> Row:
    """Two classes below split folders of any names."""
    n = 2 if len(splits) == 3 else 6  # what is not published is drawn out of train
    total = n * len(splits)
    counts = ", ".join(f"{split} {2 * n}" for split in sorted(splits))
    return Row(files(*each(text, n=n)), f"cat {total}, dog {total}; {counts}")


def _folders(text: str, n: int = MANY) -> Row:
    names = text.split()
    classes = sorted({name.rpartition("/")[2] for name in names})
    return Row(files(*below(*names, n=n)), ", ".join(f"{one} {n}" for one in classes))


_WNIDS = "n01440764 n01443537"
_TWO = "cat 8, dog 8"

ORDINARY: Final[Mapping[str, Row]] = {
    "one folder per class": _folders("cat dog"),
    "the same below a folder": _folders("photos/cat photos/dog"),
    "class ids": _folders(_WNIDS),
    "digits": _folders("0 1 2"),
    "a class called train": _folders("train plane car"),
    "classes that end in train": _folders("bullet_train steam_train"),
    "a folder in each class": Row(files(*below("cat/images", "dog/images", n=MANY)), _TWO),
    "class folders and a loose image": Row(
        files(*below("cat", "dog", n=12), "banner.png"), "cat 12, dog 12", without=1
    ),
    "train, val, test": _split("train val test", "train", "val", "test"),
    "train and validation, in capitals": _split("Train Validation", "train", "val"),
}
RECOGNISED: Final[Mapping[str, Row]] = {
    "train, dev, testing": _split("train dev testing", "train", "val", "test"),
    "train and eval": _split("train eval", "train", "val"),
    "train, val and eval": _split("train val eval", "train", "val", "test"),
    "trainval and test": _split("trainval test", "train", "test"),
    "training_set and test_set": _split("training_set test_set", "train", "test"),
    "images_train and images_val": _split("images_train images_val", "train", "val"),
    "Training, validation-set": _split("Training validation-set", "train", "val"),
    "pets_train beside pets_test": _split("pets_train pets_test", "train", "test"),
    "German names": _split("Trainingsdaten Testdaten", "train", "test"),
    "French names": _split("Entraînement Validation Essais", "train", "val", "test"),
    "Spanish names": _split("entrenamiento validación prueba", "train", "val", "test"),
    "Italian names": _split("addestramento convalida prova", "train", "val", "test"),
    "Portuguese names": _split("treino validação teste", "train", "val", "test"),
    "Dutch names": _split("trainen validatie testgegevens", "train", "val", "test"),
    "Japanese names": _split("訓練 検証 テスト", "train", "val", "test"),
    "Chinese names": _split("训练集 验证集 测试集", "train", "val", "test"),
    "a fourth folder beside the splits": Row(
        files(*each("train val test"), "extra/banner.png"),
        "cat 6, dog 6; test 4, train 4, val 4",
        left_out=1,
    ),
    "train and a folder of figures": Row(
        files(*each("train", n=MANY), "docs/banner.png"), _TWO + "; train 16", left_out=1
    ),
    "test images without classes": Row(
        files(*each("train val", n=6), *below("test", n=3)),
        "cat 12, dog 12; train 12, val 12",
        left_out=3,
    ),
    "train, test and unlabelled images": Row(
        files(*each("train test", n=12), *below("unlabeled", n=8)),
        "cat 24, dog 24; test 24, train 24",
        left_out=8,
    ),
    "class, then split": Row(
        files(*each("cat dog", "train val test")), "cat 6, dog 6; test 4, train 4, val 4"
    ),
    "splits twice, as Intel's scenes": Row(
        files(
            *each("seg_train/seg_train seg_test/seg_test", "forest sea", n=6),
            *below("seg_pred/seg_pred"),
        ),
        "forest 12, sea 12; test 12, train 12",
        left_out=2,
    ),
    "images beside masks, no classes": Row(
        files(*below("images", "masks", n=3)), "", left_out=3, without=3
    ),
    "images and masks in each class, as in chest radiographs": Row(
        files(*each("COVID Normal", "images masks", n=MANY)), "COVID 8, Normal 8", left_out=16
    ),
    "images and annotations, with classes": Row(
        files(*each("JPEGImages SegmentationClass", n=MANY)), _TWO, left_out=16
    ),
    "files of masks beside images, as in breast ultrasound": Row(
        files(
            *(
                f"{c}/{c} ({n}){m}.png"
                for c in ("benign", "normal")
                for n in range(MANY)
                for m in ("", "_mask")
            )
        ),
        "benign 8, normal 8",
        left_out=16,
    ),
    "PlantVillage: color, grayscale, segmented": Row(
        files(*each("color grayscale segmented", "Apple___healthy Apple___scab", n=MANY)),
        "Apple___healthy 8, Apple___scab 8",
        left_out=32,
    ),
    "Places365: below first letters": Row(
        files(*below("a/abbey", "b/bar", "a/apartment_building/outdoor", n=MANY)),
        "abbey 8, apartment_building/outdoor 8, bar 8",
    ),
    "CUB-200: with part segmentations": Row(
        files(
            *each(
                "CUB_200_2011/images CUB_200_2011/segmentations", "001.Albatross 002.Auklet", n=MANY
            )
        )
        | {"CUB_200_2011/images.txt": b"1 001.Albatross/0.jpg\n"},
        "001.Albatross 8, 002.Auklet 8",
        left_out=16,
    ),
    "Stanford Dogs: Images beside Annotation": Row(
        files(*each("Images", "n02085620-Chihuahua n02085782-spaniel", n=MANY))
        | {
            f"Annotation/{c}/{n}": b"<annotation></annotation>"
            for c in ("n02085620-Chihuahua", "n02085782-spaniel")
            for n in range(MANY)
        },
        "n02085620-Chihuahua 8, n02085782-spaniel 8",
        left_out=16,
    ),
    "Food-101: images with lists in meta": Row(
        files(*each("food-101/images", "apple_pie ramen", n=MANY))
        | {"food-101/meta/classes.txt": b"apple_pie\nramen\n"},
        "apple_pie 8, ramen 8",
    ),
    "Caltech-101": _folders(
        "101_ObjectCategories/BACKGROUND_Google 101_ObjectCategories/accordion"
    ),
    "EuroSAT": _folders("2750/AnnualCrop 2750/Forest"),
    "MNIST as PNG": Row(
        files(*each("mnist_png/training mnist_png/testing", "0 1", n=6)),
        "0 12, 1 12; test 12, train 12",
    ),
    "chest radiographs": Row(
        files(*each("chest_xray/train chest_xray/val chest_xray/test", "NORMAL PNEUMONIA")),
        "NORMAL 6, PNEUMONIA 6; test 4, train 4, val 4",
    ),
    "German traffic signs": Row(
        files(
            *each("GTSRB/Final_Training/Images", "00000 00001", n=MANY),
            *below("GTSRB/Final_Test/Images"),
        )
        | {
            "GTSRB/Final_Training/Images/00000/GT-00000.csv": b"Filename;Width;ClassId\n0.ppm;29;0\n"
        },
        "00000 8, 00001 8; train 16",
        left_out=2,
    ),
    "DTD": Row(
        files(*each("dtd/images", "banded dotted", n=MANY))
        | {"dtd/labels/train1.txt": b"banded/0.jpg\n"},
        "banded 8, dotted 8",
    ),
    "CVAT: images without a label": Row(
        files(*below("cat", "dog", n=MANY), *below("no_label")), _TWO, left_out=2
    ),
    "figures beside class folders": Row(
        files(*below("cat", "dog", n=12), "figures/banner.png"), "cat 12, dog 12", left_out=1
    ),
    "iNaturalist 2021": _folders(
        "train_mini/00000_Animalia_Annelida train_mini/00001_Animalia_Aves"
    ),
}
ASKED: Final[Mapping[str, Row]] = {
    "flat dev, train, testing": Row(
        files(*below("train", "dev", "testing", n=MANY)), "dev 8, testing 8, train 8",
        {"layout": "class_folders"}, asks="folders are named like splits",
    ),
    "superclasses": Row(
        files(*each("animals", n=MANY), *below("vehicles/car", "vehicles/plane", n=MANY)),
        "car 8, cat 8, dog 8, plane 8", {"layout": "leaf_folders"},
        asks="images lie in folders inside folders",
    ),
    "superclasses as classes": Row(
        files(*each("animals", n=MANY), *below("vehicles/car", "vehicles/plane", n=MANY)),
        "animals 16, vehicles 16", {"layout": "class_folders"},
        asks="images lie in folders inside folders",
    ),
    "superclasses that share a class": Row(
        files(*below("indoor/lamp", "indoor/chair", "outdoor/lamp", n=MANY)),
        "indoor/chair 8, indoor/lamp 8, outdoor/lamp 8", {"layout": "path_folders"},
        asks="images lie in folders inside folders",
    ),
    "superclasses below splits": Row(
        files(*each("train/animals test/animals", "cat dog", n=6), *each("train/vehicles test/vehicles", "car", n=6)),
        "car 12, cat 12, dog 12; test 18, train 18", {"layout": "split_leaf_folders"},
        asks="images lie in folders inside folders",
    ),
    "folds": Row(
        files(*each("fold0 fold1 fold2")), "cat 6, dog 6; test 4, train 4, val 4",
        {"splits": {"fold0": "train", "fold1": "val", "fold2": "test"}},
        asks="folders are numbered like parts of one data set",
    ),
    "sessions that repeat the classes": Row(
        files(*each("alice bob", n=MANY)), "cat 16, dog 16", {"layout": "leaf_folders"},
        asks="images lie in folders inside folders",
    ),
    "nested wnids": Row(
        files(*below("n00015388/n02084071", "n00015388/n02121808", "n00021939/n02958343", n=MANY)),
        "n02084071 8, n02121808 8, n02958343 8", {"layout": "leaf_folders"},
        asks="images lie in folders inside folders",
    ),
    "class, then split and something else": Row(
        files(*each("cat dog", "train val extra", n=6)), "cat 12, dog 12; train 12, val 12",
        {"layout": "class_split_folders", "exclude": ("extra",)}, left_out=12,
        asks="the folders hold folders named like splits",
    ),
    "one folder beside loose images": Row(
        files(*each("photos", n=12), "banner.png"), "cat 12, dog 12", {"depth": 1}, without=1,
        asks="images lie in folders inside folders",
    ),
    "Oxford Pets: the class in the name": Row(
        files(*(f"images/{c}_{n}.jpg" for c in ("Abyssinian", "shiba_inu") for n in range(MANY)))
        | files(*(f"annotations/trimaps/{c}_{n}.png" for c in ("Abyssinian", "shiba_inu") for n in range(MANY))),
        "Abyssinian 8, shiba_inu 8", {"class_from": "{class}_*"}, left_out=16,
        asks="names of files may begin with the class",
    ),
    "Cats and dogs: the class in the name": Row(
        files(*(f"train/{c}.{n}.jpg" for c in ("cat", "dog") for n in range(MANY)), *below("test1")),
        _TWO + "; train 16", {"class_from": "{class}.*"}, left_out=2,
        asks="names of files may begin with the class",
    ),
    "class and split in the name": Row(
        files(*(f"{s}_{c}_{n}.png" for s in ("train", "test") for c in ("cat", "dog") for n in range(4))),
        _TWO + "; test 8, train 8", {"class_from": "{split}_{class}_*"},
        asks="names of files may begin with the class",
    ),
    "MVTec AD: faults in test alone, masks in ground_truth": Row(
        files(*below("train/good", "test/good", "test/broken", n=MANY))
        | files(*(f"ground_truth/broken/{n}_mask.png" for n in range(MANY))),
        "broken 8, good 16", {"layout": "leaf_folders"}, left_out=8,
        asks="no folder of train is named broken",
    ),
    "Office-31: a folder between domain and class": Row(
        files(*each("amazon/images dslr/images", "bike mug", n=MANY)),
        "bike 16, mug 16", {"layout": "leaf_folders"},
        asks="images lie in folders inside folders (bike, mug in amazon, dslr)",
    ),
    "two levels that mean nothing": Row(
        files(*each("2024/north 2025/south", n=MANY)), "cat 16, dog 16", {"depth": 2},
        asks="images lie in folders inside folders",
    ),
    "BigEarthNet: bands of one patch in each folder": Row(
        files(*(f"S2A_{n}_{n * 7}/S2A_{n}_{n * 7}_{band}.tif" for n in range(10) for band in ("B02", "B03", "B8A"))),
        "", {"layout": "flat"}, asks="nearly all of 10 folders hold files of the same names",
    ),
    "a folder for each image": Row(
        files(*(f"{n * 7919 + 10**9:x}/{n}.png" for n in range(10))),
        "", {"layout": "flat"}, asks="there are nearly as many folders as images",
    ),
    "days": Row(
        files(*below("2024-05-01", "2024-05-02", n=MANY)), "", {"layout": "flat"}, asks="folders are named by dates",
    ),
}  # fmt: skip
