"""Exports of tools of annotation and of training services: each function gives the files of one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from scripts.small_files import Files, N, below, flat, images, lines, of_test, pet


def vertex_csv_set() -> Files:
    """Vertex AI and AutoML: no line names the columns."""
    rows = [
        f"{'TEST' if of_test(n) else 'TRAIN' if n else 'UNASSIGNED'},gs://pets/pics/{n}.jpg,{pet(n)}"
        for n in range(N)
    ]
    return below("pics", flat("jpg") | {"all_data.csv": lines(rows)})


def vertex_jsonl_set() -> Files:
    """Vertex AI, JSON Lines."""
    key = "aiplatform.googleapis.com/ml_use"
    records: list[Mapping[str, object]] = [
        {
            "imageGcsUri": f"gs://pets/pics/{n}.jpg",
            "classificationAnnotation": {"displayName": pet(n)},
            "dataItemResourceLabels": {key: "test" if of_test(n) else "training"},
        }
        for n in range(N)
    ]
    return below("pics", flat("jpg") | {"data.jsonl": _json_lines(records)})


def ground_truth_set() -> Files:
    """SageMaker Ground Truth, and Rekognition: an augmented manifest."""
    records = [
        {
            "source-ref": f"s3://pets/pics/{n}.jpg",
            "pets": n % 2,
            "pets-metadata": {"class-name": pet(n), "confidence": 0.94, "human-annotated": "yes"},
        }
        for n in range(N)
    ]
    return below("pics", flat("jpg") | {"output/output.manifest": _json_lines(records)})


def record_lists_set() -> Files:
    """MXNet and SageMaker: number, class and path, with tabs between."""
    rows = [f"{n}\t{n % 2:.6f}\t{n}.jpg" for n in range(N)]
    lists = {"train.lst": lines(rows[:8]), "val.lst": lines(rows[8:]), "classes.txt": b"cat\ndog\n"}
    return below("pics", flat("jpg") | lists)


def _label_studio(choices: Sequence[Sequence[str]]) -> bytes:
    tasks = [
        {
            "id": n,
            "data": {"image": f"/data/upload/7/{n}.jpg"},
            "annotations": [
                {"completed_by": 1, "result": [{"value": {"choices": of_one}, "type": "choices"}]}
            ],
        }
        for n, of_one in enumerate(choices)
    ]
    return json.dumps(tasks).encode()


def label_studio_set() -> Files:
    text = _label_studio([[pet(n)] for n in range(N)])
    return below("pics", flat("jpg") | {"project-7.json": text})


def label_studio_several_set() -> Files:
    """One image has two choices."""
    text = _label_studio([["cat", "dog"], *([pet(n)] for n in range(1, N))])
    return below("pics", flat("jpg") | {"project-7.json": text})


def label_studio_csv_set() -> Files:
    head = "image,id,choice,annotator,annotation_id,created_at,updated_at,lead_time"
    rows = [f"/data/upload/7/{n}.jpg,{n},{pet(n)},1,{n},2024,2024,3.5" for n in range(N)]
    return below("pics", flat("jpg") | {"project-7.csv": lines([head, *rows])})


def create_ml_set() -> Files:
    records = [
        {"image": f"{n}.jpg", "annotations": [{"label": pet(n), "coordinates": {"x": 9, "y": 9}}]}
        for n in range(N)
    ]
    text = json.dumps(records).encode()
    return below("pics", flat("jpg") | {"_annotations.createml.json": text})


def cvat_set() -> Files:
    found = "".join(
        f'<image id="{n}" name="{n}.jpg" width="24" height="24"><tag label="{pet(n)}"/></image>'
        for n in range(N)
    )
    text = f'<?xml version="1.0"?><annotations><version>1.1</version><meta/>{found}</annotations>'
    return below("pics/images", flat("jpg")) | {"pics/annotations.xml": text.encode()}


def yolo_set() -> Files:
    """Detection, as Ultralytics has it."""
    files: dict[str, bytes] = {}
    for split, numbers in (("train", range(8)), ("val", range(8, 12))):
        files |= images([f"images/{split}/{n}.jpg" for n in numbers], numbers[0])
        files |= {f"labels/{split}/{n}.txt": f"{n % 2} 0.5 0.5 0.2 0.4\n".encode() for n in numbers}
    files["data.yaml"] = b"train: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n"
    return below("pics", files)


def several_ones_set() -> Files:
    """Roboflow's multi-label CSV: an image may have several classes."""
    rows = [f"{n}.jpg, {int(n % 2 == 0)}, {int(n % 2 or n == 0)}" for n in range(N)]
    return below("pics", flat("jpg") | {"_classes.csv": lines(["filename, cat, dog", *rows])})


def bars_set() -> Files:
    """The radiographs of NIH: `Cardiomegaly|Hernia`."""
    found = ["Hernia|Mass" if n == 0 else ("Hernia", "Mass")[n % 2] for n in range(N)]
    rows = [f"{n}.png,{label},{n // 3}," for n, label in enumerate(found)]
    head = "Image Index,Finding Labels,Patient ID,"
    files = images([f"images_00{1 + n % 2}/images/{n}.png" for n in range(N)])
    return below("pics", files | {"Data_Entry_2017.csv": lines([head, *rows])})


def numbered_folders_set() -> Files:
    """CIFAR-10 of Kaggle: the file of labels says whose numbers it means."""
    rows = [f"{n},{pet(n)}" for n in range(N)]
    files = images([f"train/{n}.png" for n in range(N)]) | images(["test/0.png", "test/1.png"], N)
    return below("pics", files | {"trainLabels.csv": lines(["id,label", *rows])})


def another_name_set() -> Files:
    """Diabetic retinopathy of Kaggle: no column is named like a class."""
    rows = [f"{n},{n % 2}" for n in range(N)]
    return below("pics", flat("jpg") | {"trainLabels.csv": lines(["image,level", *rows])})


def codes_set() -> Files:
    """APTOS of Kaggle: a column of images that is named for none, and names without endings."""
    names = [f"{n:x}434d8d7" for n in range(N)]
    rows = [f"{name},{n % 2}" for n, name in enumerate(names)]
    files = images([f"train_images/{name}.png" for name in names])
    return below("pics", files | {"train.csv": lines(["id_code,diagnosis", *rows])})


def drivers_set() -> Files:
    """State Farm's drivers: a table of all images that have a class folder."""
    names = [(f"c{n % 2}", f"img_{n}.jpg") for n in range(N)]
    rows = [f"p{n // 4:03d},{label},{name}" for n, (label, name) in enumerate(names)]
    files = images([*(f"train/{label}/{name}" for label, name in names), "test/img_90.jpg"])
    return below("pics", files | {"list.csv": lines(["subject,classname,img", *rows])})


def is_valid_set() -> Files:
    """fastai's own data sets: a column says which images are for validation."""
    rows = [f"{n}.jpg,{pet(n)},{of_test(n)}" for n in range(N)]
    return below("pics", flat("jpg") | {"labels.csv": lines(["name,label,is_valid", *rows])})


def edge_impulse_set() -> Files:
    """Edge Impulse: `category` is the split."""
    records = [
        {
            "path": f"{'testing' if of_test(n) else 'training'}/{n}.jpg",
            "category": "testing" if of_test(n) else "training",
            "label": {"type": "label", "label": pet(n)},
        }
        for n in range(N)
    ]
    text = json.dumps({"version": 1, "files": records}).encode()
    files = images([str(record["path"]) for record in records])
    return below("pics", files | {"info.labels": text})


def prodigy_set() -> Files:
    """Prodigy: people accept a proposed label or reject it."""
    records = [
        {"image": f"{n}.jpg", "label": pet(n), "answer": "accept" if n else "reject"}
        for n in range(N)
    ]
    return below("pics", flat("jpg") | {"annotations.jsonl": _json_lines(records)})


def kili_set() -> Files:
    """Kili: ids of its own, and the class below the name of a job."""
    records = [
        {
            "id": f"clx{n}",
            "externalId": f"{n}.jpg",
            "latestLabel": {"jsonResponse": {"JOB_0": {"categories": [{"name": pet(n)}]}}},
        }
        for n in range(N)
    ]
    return below("pics", flat("jpg") | {"data.json": json.dumps(records).encode()})


def custom_vision_set() -> Files:
    """Azure Custom Vision: addresses with a signature."""
    records = [
        {
            "id": f"{n:08x}",
            "originalImageUri": f"https://store.blob.core.windows.net/i/{n}.jpg?sv=2024&sig=x",
            "tags": [{"tagId": f"{n % 2:08x}", "tagName": pet(n)}],
        }
        for n in range(N)
    ]
    return below("pics", flat("jpg") | {"images.json": json.dumps(records).encode()})


def corrected_set() -> Files:
    """A second column of classes, in which people corrected some."""
    rows = [f"{n}.jpg,{pet(n)},{'dog' if n == 0 else pet(n)}" for n in range(N)]
    head = "filename,label,final_label"
    return below("pics", flat("jpg") | {"labels.csv": lines([head, *rows])})


def several_lines_set() -> Files:
    """A line for each class of an image, as Open Images and many exports have it."""
    rows = [f"{n}.jpg,{pet(n)}" for n in range(N)]
    return below(
        "pics", flat("jpg") | {"labels.csv": lines(["filename,label", *rows, "0.jpg,dog"])}
    )


def _json_lines(records: Sequence[Mapping[str, object]]) -> bytes:
    return lines([json.dumps(record) for record in records])
