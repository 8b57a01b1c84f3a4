"""ImageNet in the forms it is distributed in, small: rows of docs/layouts.md, as those of odd_folders."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache

import numpy as np

from scripts.odd_folders import MANY, Files, Row

TENCH, GOLDFISH = "n01440764", "n01443537"
N_VAL = 4


@cache
def imagenet_rows() -> Mapping[str, Row]:
    """Rows by name. In each devkit goldfish has the lower ID, though tench has the lower wnid."""
    both = f"{TENCH} {MANY + 2}, {GOLDFISH} {MANY + 2}"
    published = f"{both}; train {2 * MANY}, val {N_VAL}"
    train = {f"{wnid}.tar": _images(wnid) for wnid in (TENCH, GOLDFISH)}
    val = {f"ILSVRC2012_val_{n:08d}.JPEG": None for n in range(1, N_VAL + 1)}
    own = {"ILSVRC2012_img_train.tar": train, "ILSVRC2012_img_val.tar": val}
    devkit = {
        "ILSVRC2012_devkit_t12/data/meta.mat": meta_mat(),
        "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": b"1\n2\n2\n1\n",
    }
    base = "ILSVRC/Data/CLS-LOC"
    kaggle = (
        {f"{base}/train/{w}/{name}": None for w in (TENCH, GOLDFISH) for name in _images(w)}
        | {f"{base}/val/{name}": None for name in val}
        | {f"{base}/test/ILSVRC2012_test_{n:08d}.JPEG": None for n in range(2)}
    )
    tiny = {
        f"tiny-imagenet-200/train/{w}/images/{w}_{n}.JPEG": None
        for w in (TENCH, GOLDFISH) for n in range(MANY)
    } | {f"tiny-imagenet-200/val/images/val_{n}.JPEG": None for n in range(N_VAL)}  # fmt: skip
    return {
        "ILSVRC2012: tar of tars, val, devkit": Row(
            own | {"ILSVRC2012_devkit_t12.tar.gz": devkit}, published
        ),
        "the same without the devkit": Row(
            own, f"{TENCH} {MANY}, {GOLDFISH} {MANY}; train {2 * MANY}", left_out=N_VAL
        ),
        "Kaggle's ILSVRC": Row(
            kaggle
            | {
                "LOC_val_solution.csv": _solution(),
                "LOC_synset_mapping.txt": f"{TENCH} tench, Tinca tinca\n{GOLDFISH} goldfish\n".encode(),
            },
            published,
            left_out=2,
        ),
        "Tiny ImageNet": Row(
            tiny
            | {"tiny-imagenet-200/val/val_annotations.txt": _annotations()}
            | {f"tiny-imagenet-200/test/images/test_{n}.JPEG": None for n in range(2)},
            published,
            left_out=2,
        ),
        "ImageNet-21k, fall 2011: tar of tars": Row(
            {"fall11_whole.tar": train}, f"{TENCH} {MANY}, {GOLDFISH} {MANY}"
        ),
        "ImageNet-21k, winter 2021": Row(
            {f"winter21_whole/{name}": inside for name, inside in train.items()},
            f"{TENCH} {MANY}, {GOLDFISH} {MANY}",
        ),
        "ImageNet-V2": Row(
            {f"imagenetv2-matched-frequency-format-val/{n}/{k}.jpeg": None for n in (0, 10) for k in range(MANY)},
            "0 8, 10 8",
        ),
    }  # fmt: skip


@cache
def meta_mat() -> bytes:
    """The struct `synsets` of the devkit for two leaves and their root."""
    from scipy.io import savemat

    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O")]
    synsets = np.zeros(3, kinds)
    synsets[0] = (1, GOLDFISH, "goldfish, Carassius auratus", "small golden fishes")
    synsets[1] = (2, TENCH, "tench, Tinca tinca", "freshwater dace-like game fish")
    synsets[2] = (3, "n00001740", "entity", "that which is perceived to exist")
    stream = io.BytesIO()
    savemat(stream, {"synsets": synsets})
    return stream.getvalue()


def _images(wnid: str) -> Files:
    return {f"{wnid}_{n}.JPEG": None for n in range(MANY)}


def _classes_of_val() -> list[str]:
    return [GOLDFISH, TENCH, TENCH, GOLDFISH]


def _solution() -> bytes:
    lines = [
        f"ILSVRC2012_val_{n:08d},{w} 1 2 3 4 {w} 5 6 7 8 "
        for n, w in enumerate(_classes_of_val(), 1)
    ]
    return "\n".join(["ImageId,PredictionString", *lines, ""]).encode()


def _annotations() -> bytes:
    lines = [f"val_{n}.JPEG\t{w}\t0\t32\t44\t62" for n, w in enumerate(_classes_of_val())]
    return "\n".join([*lines, ""]).encode()
