"""Data sets whose labels are tables, lists or files beside each image: each function gives the files of one."""

from __future__ import annotations

import json

from scripts.small_files import (
    Files,
    N,
    below,
    flat,
    image,
    images,
    lines,
    of_test,
    packed_zip,
    parquet,
    pet,
    tar,
)


def csv_set() -> Files:
    rows = [f"{n}.png,{pet(n)},{'test' if of_test(n) else 'train'},{n}" for n in range(N)]
    return below("pics", flat() | {"labels.csv": lines(["filename,label,split,age", *rows])})


def windows_set() -> Files:
    rows = [f'C:\\photos\\{n};"{pet(n)}";"two\nlines"' for n in range(N)]
    text = "\ufeffImage Path;Species;note\r\n" + "\r\n".join(rows) + "\r\n"
    return below(
        "pics", images([f"photos/{n}.jpg" for n in range(N)]) | {"table.csv": text.encode()}
    )


def tsv_set() -> Files:
    rows = [f"/home/ana/data/{n}.jpg\t{pet(n)}" for n in range(N)]
    return below("pics", flat("jpg")) | {"labels.tsv": lines(["path\tclass", *rows])}


def parquet_beside_set() -> Files:
    columns = {"image_id": [str(n) for n in range(N)], "target": [n % 2 for n in range(N)]}
    return below("pics", flat("jpg")) | {"labels.parquet": parquet(columns)}


def json_lines_set() -> Files:
    records = [
        {"file_name": f"images/{n}.png", "label": pet(n), "boxes": [[1, 2, 3, n]]} for n in range(N)
    ]
    text = lines([json.dumps(record) for record in records])
    return {"pics.tar.gz": tar(below("set/images", flat()) | {"set/labels.jsonl": text}, "w:gz")}


def json_map_set() -> Files:
    text = json.dumps({f"{n}.png": pet(n) for n in range(N)})
    return {"pics.zip": packed_zip(flat() | {"labels.json": text.encode()})}


def json_pairs_set() -> Files:
    names = [f"0000{n % 2}/img{n:08}.png" for n in range(N)]
    text = json.dumps({"labels": [[name, n % 2] for n, name in enumerate(names)]})
    return {"pics.zip": packed_zip(images(names) | {"dataset.json": text.encode()})}


def relative_set() -> Files:
    rows = [f"../images/{'ab'[n % 2]}/{n}.png,{pet(n)}" for n in range(N)]
    found = images([f"images/{'ab'[n % 2]}/{n}.png" for n in range(N)])
    return below("pics", found | {"meta/labels.csv": lines(["path,label", *rows])})


def image_folder_set() -> Files:
    files: dict[str, bytes] = {}
    for split, numbers in (("train", range(8)), ("test", range(8, 12))):
        here = {f"{at}.png": image(n) for at, n in enumerate(numbers)}
        records = [{"file_name": f"{at}.png", "label": pet(n)} for at, n in enumerate(numbers)]
        here["metadata.jsonl"] = lines([json.dumps(record) for record in records])
        files |= below(split, here)
    return below("pics", files)


def image_folder_csv_set() -> Files:
    names = [f"{'test' if of_test(n) else 'train'}/{n}.png" for n in range(N)]
    rows = [f"{name},{pet(n)},a {pet(n)} on a mat" for n, name in enumerate(names)]
    return below("pics", images(names) | {"metadata.csv": lines(["file_name,label,text", *rows])})


def hugging_face_set() -> Files:
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


def hugging_face_ints_set() -> Files:
    cells = [{"bytes": image(n), "path": None} for n in range(N)]
    return {"pics.parquet": parquet({"img": cells, "label": [n % 2 for n in range(N)]})}


def web_dataset_set() -> Files:
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


def web_dataset_json_set() -> Files:
    files = {}
    for shard in range(3):
        numbers = range(shard * 4, shard * 4 + 4)
        of_json = {f"{n}.json": json.dumps({"label": pet(n)}).encode() for n in numbers}
        text = {f"{n}.txt": f"a photograph of {n}".encode() for n in numbers}
        files[f"{shard:06}.tar"] = tar(
            {f"{n}.jpg": image(n, "JPEG") for n in numbers} | of_json | text
        )
    return below("pics", files)


def skin_set() -> Files:
    names = [f"ISIC_00{n:05}" for n in range(N)]
    header = "image,MEL,NV,BCC"
    rows = [
        f"{name},{1.0 * (n % 3 == 0)},{1.0 * (n % 3 == 1)},{1.0 * (n % 3 == 2)}"
        for n, name in enumerate(names)
    ]
    files = images([f"ISIC_2019_Training_Input/{name}.jpg" for name in names])
    return below("pics", files | {"ISIC_2019_Training_GroundTruth.csv": lines([header, *rows])})


def kaggle_set() -> Files:
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


def caffe_set() -> Files:
    names = [f"{'test' if of_test(n) else 'train'}/{n}.jpg" for n in range(N)]
    files = images(names)
    files |= {
        "train.txt": lines([f"{name} {n % 2}" for n, name in enumerate(names) if not of_test(n)]),
        "test.txt": lines([f"{name} {n % 2}" for n, name in enumerate(names) if of_test(n)]),
        "classes.txt": b"cat\ndog\n",
    }
    return below("pics", files)
