"""Data sets whose labels lie in files, small and in their true layout: the second table of docs/layouts.md.

Each is also a case of tests/unit/labels/test_labelled_sets.py, which takes it through `curate`.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipeline_lib.settings import Settings
from pipeline_lib.sources.names import is_archive, refusal
from pipeline_lib.sources.places import place_of
from pipeline_lib.survey import SourceAnswer, labels_in_params, survey
from pipeline_lib.survey.contents import look_into

SIDE_PX = 24
N = 12  # images of most sets
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class LabelledSet:
    """files: below one folder. uri: of the source there. told: what a person must say (label, several).

    classes, splits: how many images each has; extras: keys of what is carried along.
    """

    files: Callable[[], Files]
    classes: str
    splits: str = ""
    uri: str = "pics"
    told: Mapping[str, str] = field(default_factory=dict)
    extras: str = ""


@cache
def image(seed: int, kind: str = "PNG") -> bytes:
    """A small image that no other resembles."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC).save(stream, kind)
    return stream.getvalue()


def images(names: Sequence[str], first: int = 0) -> dict[str, bytes]:
    """An image for each name. first: number of the first image."""
    return {
        name: image(
            seed, "PNG" if name.endswith(".png") else "PPM" if name.endswith(".ppm") else "JPEG"
        )
        for seed, name in enumerate(names, first)
    }


def lines(rows: Sequence[str], *, end: str = "\n") -> bytes:
    """Text of some lines."""
    return "".join(row + end for row in rows).encode()


def tar(files: Files, mode: str = "w") -> bytes:
    """A tar of files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def packed_zip(files: Files) -> bytes:
    """A compressed zip of files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def parquet(
    columns: Mapping[str, object], *, names: Mapping[str, Sequence[str]] | None = None
) -> bytes:
    """A Parquet file; names: of the classes of ClassLabel columns, as `datasets` writes them."""
    table = pa.table(dict(columns))
    if names:
        features = {key: {"names": list(of), "_type": "ClassLabel"} for key, of in names.items()}
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=4)
    return stream.getvalue()


def pet(n: int) -> str:
    """cat or dog, by turns."""
    return ("cat", "dog")[n % 2]


def of_test(n: int) -> bool:
    """Whether an image is one of the last third."""
    return n >= N * 2 // 3


def below(folder: str, files: Files) -> dict[str, bytes]:
    """The same files in a folder."""
    return {f"{folder}/{name}": data for name, data in files.items()}


def flat(ending: str = "png") -> dict[str, bytes]:
    """Images in one folder, by number."""
    return images([f"{n}.{ending}" for n in range(N)])


def _csv() -> Files:
    rows = [f"{n}.png,{pet(n)},{'test' if of_test(n) else 'train'},{n}" for n in range(N)]
    return below("pics", flat() | {"labels.csv": lines(["filename,label,split,age", *rows])})


def _windows() -> Files:
    rows = [f'C:\\photos\\{n};"{pet(n)}";"two\nlines"' for n in range(N)]
    text = "\ufeffImage Path;Species;note\r\n" + "\r\n".join(rows) + "\r\n"
    return below(
        "pics", images([f"photos/{n}.jpg" for n in range(N)]) | {"table.csv": text.encode()}
    )


def _tsv() -> Files:
    rows = [f"/home/ana/data/{n}.jpg\t{pet(n)}" for n in range(N)]
    return below("pics", flat("jpg")) | {"labels.tsv": lines(["path\tclass", *rows])}


def _parquet_beside() -> Files:
    columns = {"image_id": [str(n) for n in range(N)], "target": [n % 2 for n in range(N)]}
    return below("pics", flat("jpg")) | {"labels.parquet": parquet(columns)}


def _json_lines() -> Files:
    records = [
        {"file_name": f"images/{n}.png", "label": pet(n), "boxes": [[1, 2, 3, n]]} for n in range(N)
    ]
    text = lines([json.dumps(record) for record in records])
    return {"pics.tar.gz": tar(below("set/images", flat()) | {"set/labels.jsonl": text}, "w:gz")}


def _json_map() -> Files:
    text = json.dumps({f"{n}.png": pet(n) for n in range(N)})
    return {"pics.zip": packed_zip(flat() | {"labels.json": text.encode()})}


def _json_pairs() -> Files:
    names = [f"0000{n % 2}/img{n:08}.png" for n in range(N)]
    text = json.dumps({"labels": [[name, n % 2] for n, name in enumerate(names)]})
    return {"pics.zip": packed_zip(images(names) | {"dataset.json": text.encode()})}


def _relative() -> Files:
    rows = [f"../images/{'ab'[n % 2]}/{n}.png,{pet(n)}" for n in range(N)]
    found = images([f"images/{'ab'[n % 2]}/{n}.png" for n in range(N)])
    return below("pics", found | {"meta/labels.csv": lines(["path,label", *rows])})


def _image_folder() -> Files:
    files: dict[str, bytes] = {}
    for split, numbers in (("train", range(8)), ("test", range(8, 12))):
        here = {f"{at}.png": image(n) for at, n in enumerate(numbers)}
        records = [{"file_name": f"{at}.png", "label": pet(n)} for at, n in enumerate(numbers)]
        here["metadata.jsonl"] = lines([json.dumps(record) for record in records])
        files |= below(split, here)
    return below("pics", files)


def _image_folder_csv() -> Files:
    names = [f"{'test' if of_test(n) else 'train'}/{n}.png" for n in range(N)]
    rows = [f"{name},{pet(n)},a {pet(n)} on a mat" for n, name in enumerate(names)]
    return below("pics", images(names) | {"metadata.csv": lines(["file_name,label,text", *rows])})


def _hugging_face() -> Files:
    files = {}
    for name, numbers in (
        ("train-00000-of-00002", range(5)),
        ("train-00001-of-00002", range(5, 8)),
        ("validation-00000-of-00001", range(8, 10)),
        ("test-00000-of-00001", range(10, 12)),
    ):
        cells = [{"bytes": image(n, "JPEG"), "path": f"n0{n}.JPEG"} for n in numbers]
        columns = {"image": cells, "label": [-1 if n == 11 else n % 2 for n in numbers]}
        files[f"data/{name}.parquet"] = parquet(columns, names={"label": ["cat", "dog"]})
    return below("pics", files | {"README.md": b"# A data set"})


def _hugging_face_ints() -> Files:
    cells = [{"bytes": image(n), "path": None} for n in range(N)]
    return {"pics.parquet": parquet({"img": cells, "label": [n % 2 for n in range(N)]})}


def _web_dataset() -> Files:
    files = {}
    for name, numbers in (
        ("train-000000", range(5)),
        ("train-000001", range(5, 9)),
        ("val-000000", range(9, 12)),
    ):
        shard: dict[str, bytes] = {}
        for n in numbers:
            shard[f"{n:04}.jpg"] = image(n, "JPEG")
            shard[f"{n:04}.cls"] = str(n % 2).encode()
            shard[f"{n:04}.json"] = json.dumps({"width": 24, "url": f"u{n}"}).encode()
        files[f"pets-{name}.tar"] = tar(shard)
    return below("pics", files | {"classes.txt": b"cat\ndog\n"})


def _web_dataset_json() -> Files:
    files = {}
    for shard in range(3):
        numbers = range(shard * 4, shard * 4 + 4)
        of_json = {f"{n}.json": json.dumps({"label": pet(n)}).encode() for n in numbers}
        text = {f"{n}.txt": f"a photograph of {n}".encode() for n in numbers}
        files[f"{shard:06}.tar"] = tar(
            {f"{n}.jpg": image(n, "JPEG") for n in numbers} | of_json | text
        )
    return below("pics", files)


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


def _coco() -> Files:
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


def _roboflow() -> Files:
    files: dict[str, bytes] = {}
    for split, numbers in (("train", range(6)), ("valid", range(6, 9)), ("test", range(9, 12))):
        names = [f"{n}_jpg.rf.abc{n}.jpg" for n in numbers]
        here = {name: image(n, "JPEG") for n, name in zip(numbers, names, strict=True)}
        files |= below(split, here | {"_annotations.coco.json": _coco_json(names, numbers[0])})
    return below("pics", files)


def _inaturalist() -> Files:
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


def _voc() -> Files:
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


def _food() -> Files:
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


def _cub() -> Files:
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


def _tiny_imagenet() -> Files:
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


def _places() -> Files:
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


def _traffic_signs() -> Files:
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


def _skin() -> Files:
    names = [f"ISIC_00{n:05}" for n in range(N)]
    header = "image,MEL,NV,BCC"
    rows = [
        f"{name},{1.0 * (n % 3 == 0)},{1.0 * (n % 3 == 1)},{1.0 * (n % 3 == 2)}"
        for n, name in enumerate(names)
    ]
    files = images([f"ISIC_2019_Training_Input/{name}.jpg" for name in names])
    return below("pics", files | {"ISIC_2019_Training_GroundTruth.csv": lines([header, *rows])})


def _kaggle() -> Files:
    train = [f"train_images/{n}.jpg" for n in range(N)]
    rows = [f"{n}.jpg,{n % 2}" for n in range(N)]
    files = images([*train, "test_images/900.jpg"])
    return below(
        "pics",
        files
        | {
            "train.csv": lines(["image_id,label", *rows]),
            "sample_submission.csv": lines(["image_id,label", "900.jpg,4"]),
            "label_num_to_disease_map.json": b'{"0": "Blight", "1": "Healthy"}',
        },
    )


def _aircraft() -> Files:
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


def _pets() -> Files:
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


def _caffe() -> Files:
    names = [f"{'test' if of_test(n) else 'train'}/{n}.jpg" for n in range(N)]
    files = images(names)
    files |= {
        "train.txt": lines([f"{name} {n % 2}" for n, name in enumerate(names) if not of_test(n)]),
        "test.txt": lines([f"{name} {n % 2}" for n, name in enumerate(names) if of_test(n)]),
        "classes.txt": b"cat\ndog\n",
    }
    return below("pics", files)


SETS: Final[Mapping[str, LabelledSet]] = {
    "CSV among the images": LabelledSet(_csv, "cat 6, dog 6", "test 4, train 8", extras="age"),
    "CSV of Excel, Windows paths": LabelledSet(_windows, "cat 6, dog 6", extras="note"),
    "TSV beside the folder, absolute paths": LabelledSet(_tsv, "cat 6, dog 6"),
    "Parquet beside the folder, names without ending": LabelledSet(_parquet_beside, "0 6, 1 6"),
    "JSON Lines in a tar.gz": LabelledSet(
        _json_lines, "cat 6, dog 6", uri="pics.tar.gz", extras="boxes"
    ),
    "JSON object in a zip": LabelledSet(_json_map, "cat 6, dog 6", uri="pics.zip"),
    "JSON pairs (StyleGAN)": LabelledSet(_json_pairs, "00000 6, 00001 6", uri="pics.zip"),
    "CSV in a folder of its own, relative paths": LabelledSet(
        _relative, "cat 6, dog 6", told={"labels": "pics/meta/labels.csv"}
    ),
    "Hugging Face ImageFolder, metadata.jsonl": LabelledSet(
        _image_folder, "cat 6, dog 6", "test 4, train 8"
    ),
    "Hugging Face ImageFolder, one metadata.csv": LabelledSet(
        _image_folder_csv, "cat 6, dog 6", "test 4, train 8", extras="text"
    ),
    "Hugging Face Parquet": LabelledSet(_hugging_face, "cat 6, dog 5", "test 1, train 8, val 2"),
    "Hugging Face Parquet, numbers without names": LabelledSet(
        _hugging_face_ints, "0 6, 1 6", uri="pics.parquet"
    ),
    "WebDataset, .cls": LabelledSet(
        _web_dataset, "cat 6, dog 6", "train 9, val 3", extras="json.url json.width"
    ),
    "WebDataset, .json and captions": LabelledSet(_web_dataset_json, "cat 6, dog 6", extras="txt"),
    "COCO": LabelledSet(
        _coco, "cat 6, dog 6", "train 8, val 4", told={"several": "largest"}, extras="boxes"
    ),
    "COCO, images of several classes left out": LabelledSet(
        _coco, "cat 4, dog 6", "train 7, val 3", told={"several": "leave_out"}, extras="boxes"
    ),
    "COCO of Roboflow": LabelledSet(
        _roboflow,
        "cat 6, dog 6",
        "test 3, train 6, val 3",
        told={"several": "largest"},
        extras="boxes",
    ),
    "iNaturalist": LabelledSet(_inaturalist, "cat 6, dog 6", "train 8, val 4", extras=""),
    "Pascal VOC": LabelledSet(
        _voc, "cat 6, dog 6", "test 3, train 6, val 3", uri="pics.tar", extras="boxes"
    ),
    "Food-101": LabelledSet(_food, "apple_pie 6, baklava 6", "test 4, train 8", uri="pics.tar.gz"),
    "CUB-200": LabelledSet(
        _cub, "001.Albatross 6, 002.Auk 6", "test 4, train 8", uri="pics.tgz", extras="box"
    ),
    "Tiny ImageNet": LabelledSet(
        _tiny_imagenet, "n01443537 6, n01629819 6", "train 8, val 4", uri="pics.zip", extras="box"
    ),
    "Places365": LabelledSet(_places, "airfield 6, apartment_building/outdoor 6", "train 8, val 4"),
    "German traffic signs": LabelledSet(
        _traffic_signs,
        "0 6, 1 6",
        "test 4, train 8",
        uri="pics.zip",
        extras="Height Roi.X1 Roi.Y1 Width",
    ),
    "ISIC, a column per class": LabelledSet(_skin, "BCC 4, MEL 4, NV 4"),
    "Kaggle, train.csv and two folders": LabelledSet(_kaggle, "Blight 6, Healthy 6"),
    "FGVC-Aircraft": LabelledSet(
        _aircraft, "707-320 6, A300 B4 6", "test 3, train 6, val 3", uri="pics.tar.gz"
    ),
    "Oxford Pets": LabelledSet(_pets, "1 6, 2 6", "test 4, train 8"),
    "a list per split, with numbers": LabelledSet(_caffe, "cat 6, dog 6", "test 4, train 8"),
}


def rows() -> list[tuple[str, str, str, str, str]]:
    """What each set is, its files, what `init` writes, what it counts, and what is carried along."""
    return [(name, _files_of(one), *_surveyed(one)) for name, one in SETS.items()]


def _files_of(one: LabelledSet) -> str:
    """Files that are no images, and the first image, of the folder or its first archive."""
    files = one.files()
    inside = next((name for name in files if is_archive(name)), None)
    if inside:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, inside.rpartition("/")[2])
            path.write_bytes(files[inside])
            seen = look_into(
                place_of(str(path), Settings(), root=path.parent), lambda _: None
            ).files
        names = [seen_file.name for seen_file in seen] + [
            name for name in files if not is_archive(name)
        ]
    else:
        names = [name.removeprefix("pics/") for name in files]
    shown = [name for name in names if refusal(name)][:3]
    first = [name for name in names if not refusal(name)][:1]
    where = f"in {inside}: " if inside else ""
    return (
        where
        + ", ".join(f"`{name}`" for name in [*first, *shown])
        + (", ..." if len(names) > 4 else "")
    )


def _surveyed(one: LabelledSet) -> tuple[str, str, str]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, data in one.files().items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        told = dict(one.told)
        answer = SourceAnswer(labels=told.pop("labels", None), told=told)
        found = survey(one.uri, Settings(), root=root, answer=answer)
    written = f"`{labels_in_params(found.labels)}`" if found.labels else "folders"
    counted = ", ".join(f"{name} {n}" for name, n in (*found.classes, *found.splits))
    return written, counted, ", ".join(found.extras)
