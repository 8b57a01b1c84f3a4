"""A small line up to `convert`, made by the real convert: noisy images of three classes."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from pipeline_lib.convert import run as convert_stage
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.evaluate.params import EvaluateParams
from pipeline_lib.harness.line import read_line
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.pixels import PixelRules
from pipeline_lib.settings import Settings
from pipeline_lib.tables.extra_tests import EXTRA_TESTS
from pipeline_lib.tables.features import FEATURES
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.tables.soft_labels import SOFT_LABELS
from pipeline_lib.tables.unlabelled import UNLABELLED
from pipeline_lib.train.params import TrainParams

CLASSES = (
    "007",
    "stripes",
    "NA",
)  # names that a careless reader would turn into a number and a hole
SPLITS = {"train": 60, "val": 24, "test": 40}
QUICK = {
    "epochs": 6,
    "batch_size": 8,
    "peak_learning_rate": 0.1,
    "ema_half_life_epochs": 0.5,
    "threads": 1,
}  # 42 steps


@dataclass(frozen=True)
class SmallLine:
    """Images of three classes in files and in betons, and their selection, below one folder."""

    folder: Path

    def file(self, image_id: str) -> Path:
        return self.folder / "files" / image_id

    def reads(self) -> dict[str, Path]:
        names = {"betons": "betons", "selection": "selection", "classes": "classes.csv"}
        return {role: self.folder / name for role, name in names.items()}

    def train(
        self, out: Path, *, settings: Settings | None = None, **params: Any
    ) -> StageRun[TrainParams]:
        """A job for the train stage that writes below `out`."""
        writes = {
            "weights": out / "weights",
            "curves": out / "curves.csv",
            "validation": out / "validation.json",
        }
        return StageRun(
            self.folder,
            self.reads(),
            writes,
            TrainParams(**QUICK | params),
            settings or self.settings(),
        )

    def evaluate(
        self, weights: Path, out: Path, *, settings: Settings | None = None, **params: Any
    ) -> StageRun[EvaluateParams]:
        """A job for the evaluate stage that writes below `out`."""
        reads = {**self.reads(), "weights": weights, "features": self.folder / "features"}
        return StageRun(
            self.folder,
            reads,
            evaluated_files(out),
            EvaluateParams(**{"threads": 1, **params}),
            settings or self.settings(),
        )

    def settings(self) -> Settings:
        return Settings(workers=1, device="cpu", root=self.folder)


def evaluated_files(folder: Path) -> dict[str, Path]:
    """role -> path below `folder` of all that `evaluate` writes, as dvc.yaml lists it."""
    writes = read_line(Path(__file__).parents[1]).writes["evaluate"]
    return {role: folder / path.name for role, path in writes.items()}


def trained_bytes(out: Path) -> list[bytes]:
    """All that a train stage wrote below `out`."""
    names = ("weights/model.safetensors", "weights/model.json", "curves.csv", "validation.json")
    return [(out / name).read_bytes() for name in names]


def make_small_line(folder: Path) -> SmallLine:
    """Two shards of noisy images of 24 to 40 px, converted, with train, val and test selected."""
    line = SmallLine(folder)
    rows = [(split, n) for split, count in SPLITS.items() for n in range(count)]
    images = {
        f"src/{split}{n:03}.png": _image(seed, seed % 3) for seed, (split, n) in enumerate(rows)
    }
    _write_shards(line.folder, images)
    for split in SPLITS:
        chosen = [
            (image_id, seed % 3)
            for seed, image_id in enumerate(images)
            if image_id.startswith(f"src/{split}")
        ]
        frame = pd.DataFrame(chosen, columns=["image_id", "label"]).assign(weight=1.0)
        frame["class_id"] = [CLASSES[label] for label in frame["label"]]
        SELECTION.write(frame, line.folder / "selection" / f"{split}.parquet")
    _write_features(line.folder / "features", images)
    SOFT_LABELS.write(SOFT_LABELS.empty(), line.folder / "selection/soft_labels.parquet")
    UNLABELLED.write(UNLABELLED.empty(), line.folder / "selection/unlabelled.parquet")
    EXTRA_TESTS.write(_extra_tests(list(images)), line.folder / "selection/extra.parquet")
    classes = pd.DataFrame(
        {
            "label": range(3),
            "class_id": CLASSES,
            "name": CLASSES,
            "n_train": 20,
            "n_val": 8,
            "n_test": 13,
        }
    )
    classes.to_csv(line.folder / "classes.csv", index=False)
    return line


def _image(seed: int, label: int) -> bytes:
    """A PNG of waves whose direction is the class, under noise."""
    random = np.random.default_rng(seed)
    height, width = random.integers(24, 41, 2)
    y, x = np.mgrid[0:height, 0:width]
    wave = np.sin([x, y, x + y][label] / 2 + random.uniform(0, 6)) * 60 + 128
    pixels = (
        (wave[..., None] + random.normal(0, 20, (height, width, 3))).clip(0, 255).astype(np.uint8)
    )
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _extra_tests(image_ids: list[str]) -> pd.DataFrame:
    """Two sets of training images: some of all classes, the first with a second right class; and two classes alone."""
    rows = [
        (image_id, name, [number % 3], name == "narrow")
        for name, some in (("phone", range(12)), ("narrow", range(12, 30)))
        for number, image_id in enumerate(image_ids)
        if number in some and (name == "phone" or number % 3 < 2)
    ]
    rows[0][2].insert(0, 1)
    frame = pd.DataFrame(rows, columns=["image_id", "test_set", "labels", "restricted"])
    named = [[CLASSES[k] for k in some] for some in frame["labels"]]
    return frame.assign(class_ids=pd.Series(named, frame.index))


def _write_features(folder: Path, images: Iterable[str]) -> None:
    """Vectors of which those of one class are alike; the images come in the order of their classes."""
    rows = [
        {"image_id": image_id, "kind": "hog", "thumbnail": b"", "view": b""}
        | {"vector": [float(seed % 3 == k) + seed / 1000 for k in range(3)]}
        for seed, image_id in enumerate(images)
    ]
    for number in range(2):
        FEATURES.write(pd.DataFrame(rows[number::2]), folder / f"{number}.parquet")


def _write_shards(folder: Path, files: dict[str, bytes]) -> None:
    """What download and inspect would leave, and the betons that convert makes of it."""
    members, images = [], []
    for number, shard in enumerate(("a" * 16, "b" * 16)):
        content = b""
        for row, (image_id, data) in enumerate(list(files.items())[number::2]):
            size = Image.open(io.BytesIO(data)).size
            place = {
                "container": shard,
                "offset_bytes": len(content),
                "size_bytes": len(data),
                "source": "src",
            }
            members.append({"image_id": image_id, "shard": shard, "row_in_shard": row, **place})
            images.append(
                {
                    "image_id": image_id,
                    "shard": shard,
                    "row_in_shard": row,
                    "width_px": size[0],
                    "height_px": size[1],
                }
                | {"exif_orientation": 1}
            )
            content += data
            path = folder / "files" / image_id
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (folder / "shards").mkdir(exist_ok=True)
        (folder / "shards" / shard).write_bytes(content)
    MEMBERS.write(_filled(members, MEMBERS), folder / "members.parquet")
    IMAGES.write(_filled(images, IMAGES), folder / "images.parquet")
    (folder / "pixel_rules.json").write_text(PixelRules().model_dump_json())
    reads = {role: folder / f"{role}.parquet" for role in ("members", "images")}
    reads |= {"shards": folder / "shards", "pixel_rules": folder / "pixel_rules.json"}
    settings = Settings(workers=1, root=folder)
    convert_stage.run(
        StageRun(folder, reads, {"betons": folder / "betons"}, ConvertParams(), settings)
    )


def _filled(rows: list[dict[str, Any]], table: Any) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=[column.name for column in table.columns]).astype(object)
    return frame.where(frame.notna(), None)
