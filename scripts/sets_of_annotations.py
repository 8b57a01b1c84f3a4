"""Known data sets with annotations of their own form: each function gives the files of one."""

from __future__ import annotations

import json
from collections.abc import Sequence

from scripts.small_files import (
    Files,
    N,
    below,
    image,
    images,
    lines,
    packed_zip,
    pet,
    tar,
)


def _coco_json(names: Sequence[str], first: int) -> bytes:
    ids = range(first, first + len(names))
    boxes = [
        {"id": n, "image_id": n, "category_id": 1 + n % 2, "bbox": [1, 2, 10, 12]} for n in ids
    ]
    # two objects of two classes in one image
    boxes.append(
        {"id": 900, "image_id": ids[0], "category_id": 2 - ids[0] % 2, "bbox": [0, 0, 3, 3]}
    )
    content = {
        "info": {"year": 2017},
        "images": [
            {"id": n, "file_name": name, "width": 24} for n, name in zip(ids, names, strict=True)
        ],
        "annotations": boxes,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }
    return json.dumps(content).encode()


def coco_set() -> Files:
    train, val = [f"{n:012}.jpg" for n in range(8)], [f"{n:012}.jpg" for n in range(8, 12)]
    found = images([f"train2017/{name}" for name in train] + [f"val2017/{name}" for name in val])
    captions = json.dumps(
        {"images": [], "annotations": [{"image_id": 1, "caption": "a cat"}]}
    ).encode()
    annotations = {
        "annotations/instances_train2017.json": _coco_json(train, 0),
        "annotations/instances_val2017.json": _coco_json(val, 8),
        "annotations/captions_train2017.json": captions,
    }
    return below("pics", found | annotations)


def roboflow_set() -> Files:
    files: dict[str, bytes] = {}
    for split, numbers in (("train", range(6)), ("valid", range(6, 9)), ("test", range(9, 12))):
        names = [f"{n}_jpg.rf.abc{n}.jpg" for n in numbers]
        here = {name: image(n, "JPEG") for n, name in zip(numbers, names, strict=True)}
        files |= below(split, here | {"_annotations.coco.json": _coco_json(names, numbers[0])})
    return below("pics", files)


def inaturalist_set() -> Files:
    files: dict[str, bytes] = {}
    for split, numbers in (("train", range(8)), ("val", range(8, 12))):
        names = [f"train_val2018/Aves/{n % 2}/{n}.jpg" for n in numbers]
        content = {
            "images": [
                {"id": n, "file_name": name} for n, name in zip(numbers, names, strict=True)
            ],
            "categories": [{"id": n, "name": pet(n), "supercategory": "Aves"} for n in range(2)],
            "annotations": [{"id": n, "image_id": n, "category_id": n % 2} for n in numbers],
        }
        files |= {name: image(n, "JPEG") for n, name in zip(numbers, names, strict=True)}
        files[f"{split}2018.json"] = json.dumps(content).encode()
    return below("pics", files)


def _voc_xml(name: str, objects: Sequence[str]) -> bytes:
    boxes = "".join(
        f"<object><name>{one}</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>{9 + at}</xmax><ymax>20</ymax></bndbox>"
        f"<part><name>head</name></part></object>"
        for at, one in enumerate(objects)
    )
    return f"<annotation><folder>VOC2007</folder><filename>{name}</filename>{boxes}</annotation>".encode()


def voc_set() -> Files:
    files = {f"JPEGImages/{n:06}.jpg": image(n, "JPEG") for n in range(N)}
    files |= {
        f"Annotations/{n:06}.xml": _voc_xml(f"{n:06}.jpg", [pet(n), pet(n)]) for n in range(N)
    }
    numbers = {"train": range(6), "val": range(6, 9), "trainval": range(9), "test": range(9, 12)}
    for split, of_split in numbers.items():
        files[f"ImageSets/Main/{split}.txt"] = lines([f"{n:06}" for n in of_split])
        files[f"ImageSets/Main/cat_{split}.txt"] = lines(
            [f"{n:06} {1 if n % 2 == 0 else -1:2}" for n in of_split]
        )
    return {"pics.tar": tar(below("VOCdevkit/VOC2007", files))}


def food_set() -> Files:
    names = [f"{('apple_pie', 'baklava')[n % 2]}/{100 + n}" for n in range(N)]
    train, test = names[:8], names[8:]
    files = {f"images/{name}.jpg": image(n, "JPEG") for n, name in enumerate(names)}
    files |= {
        "meta/train.txt": lines(train),
        "meta/test.txt": lines(test),
        "meta/classes.txt": lines(["apple_pie", "baklava"]),
        "meta/labels.txt": lines(["Apple pie", "Baklava"]),
        "meta/train.json": json.dumps({"apple_pie": train[::2], "baklava": train[1::2]}).encode(),
        "license_agreement.txt": b"For research\n",
    }
    return {"pics.tar.gz": tar(below("food-101", files), "w:gz")}


def cub_set() -> Files:
    names = [f"00{1 + n % 2}.{('Albatross', 'Auk')[n % 2]}/bird_{n}.jpg" for n in range(N)]
    files = {f"images/{name}": image(n, "JPEG") for n, name in enumerate(names)}
    numbers = range(1, N + 1)
    files |= {
        "images.txt": lines([f"{n} {name}" for n, name in zip(numbers, names, strict=True)]),
        "image_class_labels.txt": lines([f"{n} {1 + (n - 1) % 2}" for n in numbers]),
        "classes.txt": lines(["1 001.Albatross", "2 002.Auk"]),
        "train_test_split.txt": lines([f"{n} {int(n <= 8)}" for n in numbers]),
        "bounding_boxes.txt": lines([f"{n} 1.0 2.0 10.0 {n}.0" for n in numbers]),
        "README": b"CUB\n",
        "attributes/certainties.txt": b"1 not visible\n",
    }
    return {"pics.tgz": tar(below("CUB_200_2011", files), "w:gz")}


def nabirds_set() -> Files:
    """As CUB-200, with hex digits for numbers."""
    keys = [f"{n:08x}-21dc-4d0f" for n in range(N)]
    names = [f"{('0817', '0860')[n % 2]}/{n:08x}.jpg" for n in range(N)]
    files = {f"images/{name}": image(n, "JPEG") for n, name in enumerate(names)}
    files |= {
        "images.txt": lines([f"{key} {name}" for key, name in zip(keys, names, strict=True)]),
        "image_class_labels.txt": lines(
            [f"{key} {(817, 860)[n % 2]}" for n, key in enumerate(keys)]
        ),
        "classes.txt": lines(["817 Oak Titmouse", "860 Blue Jay"]),
        "train_test_split.txt": lines([f"{key} {int(n < 8)}" for n, key in enumerate(keys)]),
    }
    return below("pics/nabirds", files)


def indoor_scenes_set() -> Files:
    """MIT's indoor scenes: lists of images whose names are in camel case."""
    names = [f"{('airport_inside', 'bar')[n % 2]}/{n}.jpg" for n in range(N)]
    files = {f"Images/{name}": image(n, "JPEG") for n, name in enumerate(names)}
    lists = {"TrainImages.txt": lines(names[:8]), "TestImages.txt": lines(names[8:])}
    return below("pics", files | lists)


def tiny_imagenet_set() -> Files:
    wnids = ("n01443537", "n01629819")
    names = [f"train/{wnids[n % 2]}/images/{wnids[n % 2]}_{n}.JPEG" for n in range(8)]
    names += [f"val/images/val_{n}.JPEG" for n in range(4)] + ["test/images/test_0.JPEG"]
    files = images(names, 240)
    rows = [f"val_{n}.JPEG\t{wnids[n % 2]}\t0\t1\t2\t3" for n in range(4)]
    files["val/val_annotations.txt"] = lines(rows)
    for wnid in wnids:
        boxes = [
            f"{name.rpartition('/')[2]}\t0\t1\t2\t3" for name in names if f"train/{wnid}" in name
        ]
        files[f"train/{wnid}/{wnid}_boxes.txt"] = lines(boxes)
    files |= {
        "wnids.txt": lines(wnids),
        "words.txt": lines([f"{wnid}\tan animal" for wnid in wnids]),
    }
    return {"pics.zip": packed_zip(below("tiny-imagenet-200", files))}


def places_set() -> Files:
    kinds = ("/a/airfield", "/a/apartment_building/outdoor")
    train = [f"{kinds[n % 2]}/{n:08}.jpg" for n in range(8)]
    val = [f"Places365_val_{n:08}.jpg" for n in range(4)]
    files = images([f"data_256{name}" for name in train] + [f"val_256/{name}" for name in val])
    files |= {
        "places365_train_standard.txt": lines([f"{name} {n % 2}" for n, name in enumerate(train)]),
        "places365_val.txt": lines([f"{name} {n % 2}" for n, name in enumerate(val)]),
        "categories_places365.txt": lines([f"{kind} {n}" for n, kind in enumerate(kinds)]),
    }
    return below("pics", files)


def traffic_signs_set() -> Files:
    header = "Filename;Width;Height;Roi.X1;Roi.Y1;ClassId"
    files: dict[str, bytes] = {}
    for sign in range(2):
        folder = f"GTSRB/Final_Training/Images/{sign:05}"
        rows = [f"{n:05}.ppm;24;24;5;6;{sign}" for n in range(4)]
        files |= {f"{folder}/{n:05}.ppm": image(sign * 4 + n, "PPM") for n in range(4)}
        files[f"{folder}/GT-{sign:05}.csv"] = lines([header, *rows])
    folder = "GTSRB/Final_Test/Images"
    files |= {f"{folder}/{n:05}.ppm": image(8 + n, "PPM") for n in range(4)}
    files[f"{folder}/GT-final_test.csv"] = lines(
        [header, *(f"{n:05}.ppm;24;24;5;6;{n % 2}" for n in range(4))]
    )
    return {"pics.zip": packed_zip(files)}


def aircraft_set() -> Files:
    numbers = [f"{n + 1_000_000}" for n in range(N)]
    files = images([f"images/{number}.jpg" for number in numbers])
    for split, at in (
        ("train", slice(6)),
        ("val", slice(6, 9)),
        ("trainval", slice(9)),
        ("test", slice(9, 12)),
    ):
        of_split = numbers[at]
        files[f"images_variant_{split}.txt"] = lines(
            [f"{number} {('707-320', 'A300 B4')[int(number) % 2]}" for number in of_split]
        )
    return {"pics.tar.gz": tar(below("fgvc-aircraft-2013b/data", files), "w:gz")}


def pets_set() -> Files:
    names = [f"{('Abyssinian', 'yorkshire_terrier')[n % 2]}_{n}" for n in range(N)]
    rows = [f"{name} {1 + n % 2} 1 1" for n, name in enumerate(names)]
    files = images([f"images/{name}.jpg" for name in names])
    files |= {
        "annotations/trainval.txt": lines(rows[:8]),
        "annotations/test.txt": lines(rows[8:]),
        "annotations/list.txt": lines(["#Image CLASS-ID SPECIES BREED ID", *rows]),
        "annotations/xmls/Abyssinian_0.xml": _voc_xml("Abyssinian_0.jpg", ["cat"]),
    }
    return below("pics", files)
