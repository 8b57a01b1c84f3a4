"""Data sets whose labels lie in files, small and in their true layout: the second table of docs/layouts.md.

Each is also a case of tests/unit/labels/test_labelled_sets.py, which takes it through `curate`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline_lib.settings import Settings
from pipeline_lib.sources.names import is_archive, refusal
from pipeline_lib.sources.places import place_of
from pipeline_lib.survey import SourceAnswer, labels_in_params, survey
from pipeline_lib.survey.contents import look_into
from scripts import sets_of_annotations, sets_of_tables, sets_of_tools
from scripts.small_files import Files


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


SETS: Final[Mapping[str, LabelledSet]] = {
    "CSV among the images": LabelledSet(
        sets_of_tables.csv_set, "cat 6, dog 6", "test 4, train 8", extras="age"
    ),
    "CSV of Excel, Windows paths": LabelledSet(
        sets_of_tables.windows_set, "cat 6, dog 6", extras="note"
    ),
    "TSV beside the folder, absolute paths": LabelledSet(sets_of_tables.tsv_set, "cat 6, dog 6"),
    "Parquet beside the folder, names without ending": LabelledSet(
        sets_of_tables.parquet_beside_set, "0 6, 1 6"
    ),
    "JSON Lines in a tar.gz": LabelledSet(
        sets_of_tables.json_lines_set, "cat 6, dog 6", uri="pics.tar.gz", extras="boxes"
    ),
    "JSON object in a zip": LabelledSet(
        sets_of_tables.json_map_set, "cat 6, dog 6", uri="pics.zip"
    ),
    "JSON pairs (StyleGAN)": LabelledSet(
        sets_of_tables.json_pairs_set, "00000 6, 00001 6", uri="pics.zip"
    ),
    "CSV in a folder of its own, relative paths": LabelledSet(
        sets_of_tables.relative_set, "cat 6, dog 6", told={"labels": "pics/meta/labels.csv"}
    ),
    "Hugging Face ImageFolder, metadata.jsonl": LabelledSet(
        sets_of_tables.image_folder_set, "cat 6, dog 6", "test 4, train 8"
    ),
    "Hugging Face ImageFolder, one metadata.csv": LabelledSet(
        sets_of_tables.image_folder_csv_set, "cat 6, dog 6", "test 4, train 8", extras="text"
    ),
    "Hugging Face Parquet": LabelledSet(
        sets_of_tables.hugging_face_set, "cat 6, dog 5", "test 1, train 8, val 2"
    ),
    "Hugging Face Parquet, numbers without names": LabelledSet(
        sets_of_tables.hugging_face_ints_set, "0 6, 1 6", uri="pics.parquet"
    ),
    "WebDataset, .cls": LabelledSet(
        sets_of_tables.web_dataset_set,
        "cat 6, dog 6",
        "train 9, val 3",
        extras="json.url json.width",
    ),
    "WebDataset, .json and captions": LabelledSet(
        sets_of_tables.web_dataset_json_set, "cat 6, dog 6", extras="txt"
    ),
    "COCO": LabelledSet(
        sets_of_annotations.coco_set,
        "cat 6, dog 6",
        "train 8, val 4",
        told={"several": "largest"},
        extras="boxes",
    ),
    "COCO, images of several classes left out": LabelledSet(
        sets_of_annotations.coco_set,
        "cat 4, dog 6",
        "train 7, val 3",
        told={"several": "leave_out"},
        extras="boxes",
    ),
    "COCO of Roboflow": LabelledSet(
        sets_of_annotations.roboflow_set,
        "cat 6, dog 6",
        "test 3, train 6, val 3",
        told={"several": "largest"},
        extras="boxes",
    ),
    "iNaturalist": LabelledSet(
        sets_of_annotations.inaturalist_set, "cat 6, dog 6", "train 8, val 4", extras=""
    ),
    "Pascal VOC": LabelledSet(
        sets_of_annotations.voc_set,
        "cat 6, dog 6",
        "test 3, train 6, val 3",
        uri="pics.tar",
        extras="boxes",
    ),
    "Food-101": LabelledSet(
        sets_of_annotations.food_set, "apple_pie 6, baklava 6", "test 4, train 8", uri="pics.tar.gz"
    ),
    "CUB-200": LabelledSet(
        sets_of_annotations.cub_set,
        "001.Albatross 6, 002.Auk 6",
        "test 4, train 8",
        uri="pics.tgz",
        extras="box",
    ),
    "Tiny ImageNet": LabelledSet(
        sets_of_annotations.tiny_imagenet_set,
        "n01443537 6, n01629819 6",
        "train 8, val 4",
        uri="pics.zip",
        extras="box",
    ),
    "Places365": LabelledSet(
        sets_of_annotations.places_set, "airfield 6, apartment_building/outdoor 6", "train 8, val 4"
    ),
    "German traffic signs": LabelledSet(
        sets_of_annotations.traffic_signs_set,
        "0 6, 1 6",
        "test 4, train 8",
        uri="pics.zip",
        extras="Height Roi.X1 Roi.Y1 Width",
    ),
    "ISIC, a column per class": LabelledSet(sets_of_tables.skin_set, "BCC 4, MEL 4, NV 4"),
    "Kaggle, train.csv and two folders": LabelledSet(
        sets_of_tables.kaggle_set, "Blight 6, Healthy 6"
    ),
    "FGVC-Aircraft": LabelledSet(
        sets_of_annotations.aircraft_set,
        "707-320 6, A300 B4 6",
        "test 3, train 6, val 3",
        uri="pics.tar.gz",
    ),
    "Oxford Pets": LabelledSet(sets_of_annotations.pets_set, "1 6, 2 6", "test 4, train 8"),
    "a list per split, with numbers": LabelledSet(
        sets_of_tables.caffe_set, "cat 6, dog 6", "test 4, train 8"
    ),
}
TOOLS: Final[Mapping[str, LabelledSet]] = {
    "Vertex AI and AutoML, CSV without a header": LabelledSet(
        sets_of_tools.vertex_csv_set, "cat 6, dog 6", "test 4, train 7"
    ),
    "Vertex AI, JSON Lines": LabelledSet(
        sets_of_tools.vertex_jsonl_set,
        "cat 6, dog 6",
        "test 4, train 8",
        extras="classificationAnnotation dataItemResourceLabels",
    ),
    "SageMaker Ground Truth, Rekognition": LabelledSet(
        sets_of_tools.ground_truth_set, "cat 6, dog 6", extras="pets pets-metadata"
    ),
    "MXNet and SageMaker, .lst": LabelledSet(
        sets_of_tools.record_lists_set, "cat 6, dog 6", "train 8, val 4"
    ),
    "Label Studio, JSON": LabelledSet(
        sets_of_tools.label_studio_set, "cat 6, dog 6", extras="annotations data id"
    ),
    "Label Studio, several choices": LabelledSet(
        sets_of_tools.label_studio_several_set,
        "cat 5, cat|dog 1, dog 6",
        told={"several": "combined"},
        extras="annotations data id",
    ),
    "Label Studio, CSV": LabelledSet(
        sets_of_tools.label_studio_csv_set,
        "cat 6, dog 6",
        extras="annotation_id annotator created_at id lead_time updated_at",
    ),
    "Create ML": LabelledSet(sets_of_tools.create_ml_set, "cat 6, dog 6", extras="annotations"),
    "CVAT for images": LabelledSet(sets_of_tools.cvat_set, "cat 6, dog 6"),
    "YOLO": LabelledSet(
        sets_of_tools.yolo_set, "cat 6, dog 6", "train 8, val 4", extras="boxes_percent"
    ),
    "Roboflow, several ones in a row": LabelledSet(
        sets_of_tools.several_ones_set, "cat 5, dog 6", told={"several": "leave_out"}
    ),
    "NIH's radiographs, classes with bars between": LabelledSet(
        sets_of_tools.bars_set,
        "Hernia 5, Mass 6",
        told={"labels": "pics/Data_Entry_2017.csv", "several": "leave_out"},
        extras="Patient ID",
    ),
    "CIFAR-10 of Kaggle, trainLabels.csv": LabelledSet(
        sets_of_tools.numbered_folders_set, "cat 6, dog 6", "train 12"
    ),
    "APTOS, a column id_code": LabelledSet(sets_of_tools.codes_set, "0 6, 1 6"),
    "State Farm, folders and a table that agrees": LabelledSet(
        sets_of_tools.drivers_set, "c0 6, c1 6", "train 12"
    ),
    "NABirds": LabelledSet(
        sets_of_annotations.nabirds_set, "Blue Jay 6, Oak Titmouse 6", "test 4, train 8"
    ),
    "MIT's indoor scenes": LabelledSet(
        sets_of_annotations.indoor_scenes_set, "airport_inside 6, bar 6", "test 4, train 8"
    ),
    "fastai, a column is_valid": LabelledSet(
        sets_of_tools.is_valid_set, "cat 6, dog 6", "train 8, val 4"
    ),
    "Edge Impulse": LabelledSet(
        sets_of_tools.edge_impulse_set, "cat 6, dog 6", "test 4, train 8", extras="label"
    ),
    "Prodigy, with rejected labels": LabelledSet(
        sets_of_tools.prodigy_set, "cat 5, dog 6", extras="answer"
    ),
    "Kili": LabelledSet(sets_of_tools.kili_set, "cat 6, dog 6", extras="id latestLabel"),
    "Azure Custom Vision": LabelledSet(
        sets_of_tools.custom_vision_set, "cat 6, dog 6", extras="id tags"
    ),
    "a corrected class in a second column": LabelledSet(
        sets_of_tools.corrected_set,
        "cat 5, dog 7",
        told={"label": "final_label"},
        extras="label",
    ),
    "several lines for one image": LabelledSet(
        sets_of_tools.several_lines_set, "cat 5, dog 6", told={"several": "leave_out"}
    ),
    "a column of another name": LabelledSet(
        sets_of_tools.another_name_set, "0 6, 1 6", told={"label": "level"}
    ),
}
"""Surveyed by a test each; those that are read by functions of their own go through `curate` too."""


def rows() -> list[tuple[str, str, str, str, str]]:
    """What each set is, its files, what `init` writes, what it counts, and what is carried along."""
    every = {**SETS, **TOOLS}
    return [(name, _files_of(one), *_surveyed(one)) for name, one in every.items()]


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
