"""The digits of scikit-learn as a line up to `convert`, on which the real train stage runs with any rows and params."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import train_test_split

from demo.pictures import load_scans, png
from pipeline_lib.convert import run as convert_stage
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.loader import open_loader
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import score
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.networks.weights import load_weights
from pipeline_lib.pixels import PixelRules
from pipeline_lib.settings import Settings
from pipeline_lib.stage import StageRun
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.tables.soft_labels import SOFT_LABELS
from pipeline_lib.tables.unlabelled import UNLABELLED
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.run import run

SHARD = "d" * 16
TEST, VAL = 0.2, 0.1  # shares of all 1,797 digits


@dataclass(frozen=True)
class Split:
    """Rows of a selection (image_id, label, class_id, weight), drawn so that all classes have their share."""

    train: pd.DataFrame
    val: pd.DataFrame
    test: pd.DataFrame


class DigitLine:
    """Betons of all digits below a folder. Every `train` is one run of the stage, in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.settings = folder, Settings(workers=1, device="cpu", root=folder, progress_every_s=3600)
        scans = load_scans()
        self.rows = pd.DataFrame({"class_id": scans.labels})
        self.rows["label"] = self.rows["class_id"].astype("int32")
        self.rows["image_id"] = [f"digits/{number:04}.png" for number in self.rows.index]
        self.rows["weight"] = 1.0
        self._convert([png(image) for image in scans.images])

    def split(self, seed: int) -> Split:
        """Another draw for every seed: 1,257 to train on, 180 to validate, 360 to test."""
        rest, test = train_test_split(self.rows, test_size=TEST, stratify=self.rows["label"], random_state=seed)
        share = VAL / (1 - TEST)
        train, val = train_test_split(rest, test_size=share, stratify=rest["label"], random_state=seed)
        return Split(train, val, test)

    def train(
        self,
        train: pd.DataFrame,
        val: pd.DataFrame,
        *,
        unlabelled: pd.DataFrame | None = None,
        soft: pd.DataFrame | None = None,
        **params: Any,
    ) -> Path:
        """Run the stage on these rows; the folder of the weights. Classes are those of `train`, in order.

        unlabelled: rows without their label. soft: probability by image_id (index) and class_id (columns).
        """
        out = Path(tempfile.mkdtemp(dir=self.folder))
        without = UNLABELLED.empty() if unlabelled is None else unlabelled[["image_id"]]
        UNLABELLED.write(without, out / "selection/unlabelled.parquet")
        SOFT_LABELS.write(SOFT_LABELS.empty() if soft is None else _long(soft), out / "selection/soft_labels.parquet")
        classes = sorted(train["class_id"].unique())
        for split, rows in (("train", train), ("val", val)):
            own = rows.assign(label=rows["class_id"].map(classes.index).astype("int32"))
            SELECTION.write(own[["image_id", "label", "class_id", "weight"]], out / "selection" / f"{split}.parquet")
        pd.DataFrame({"label": range(len(classes)), "class_id": classes, "name": classes}).to_csv(
            out / "classes.csv", index=False
        )
        reads = {"betons": self.folder / "betons", "selection": out / "selection", "classes": out / "classes.csv"}
        writes = {"weights": out / "weights", "curves": out / "curves.csv"}
        run(StageRun(self.folder, reads, writes, TrainParams(threads=1, **params), self.settings))
        return out / "weights"

    def right(self, weights: Path, rows: pd.DataFrame) -> pd.Series:
        """Whether each row's class is the model's answer: boolean by class_id."""
        about = read_model_file(weights)
        network = build_network(about.network, n_classes=len(about.classes), side_px=about.side_px)
        load_weights(network, weights)
        model = Classifier(network, mean=about.mean, std=about.std)
        loader = open_loader(
            self.folder / "betons",
            rows,
            batch_size=90,
            side_px=about.side_px,
            augmentation=None,
            shuffle=False,
            seed=0,
            drop_last=False,
            kind="auto",
            workers=1,
        )
        said = torch.cat([scored.logits_BK.argmax(1) for scored in score(model, loader, torch.device("cpu"))])
        loader.close()
        answers = np.array(about.classes)[said.numpy()]
        return pd.Series(answers == rows["class_id"].to_numpy(), index=rows["class_id"])

    def _convert(self, files: list[bytes]) -> None:
        """What download and inspect would leave, and the betons that convert makes of it."""
        starts = np.cumsum([0, *map(len, files)])
        common: Mapping[str, object] = {"shard": SHARD, "container": SHARD, "source": "digits"}
        members = [
            {**common, "image_id": name, "row_in_shard": n, "offset_bytes": int(starts[n]), "size_bytes": len(files[n])}
            for n, name in enumerate(self.rows["image_id"])
        ]
        side = {"width_px": 32, "height_px": 32, "exif_orientation": 1}
        (self.folder / "shards").mkdir()
        (self.folder / "shards" / SHARD).write_bytes(b"".join(files))
        for table, records in ((MEMBERS, members), (IMAGES, [{**member, **side} for member in members])):
            frame = pd.DataFrame(records, columns=[column.name for column in table.columns]).astype(object)
            table.write(frame.where(frame.notna(), None), self.folder / f"{table.name}.parquet")
        (self.folder / "pixel_rules.json").write_text(PixelRules().model_dump_json())
        reads = {role: self.folder / f"{role}.parquet" for role in ("members", "images")}
        reads |= {"shards": self.folder / "shards", "pixel_rules": self.folder / "pixel_rules.json"}
        writes = {"betons": self.folder / "betons"}
        convert_stage.run(StageRun(self.folder, reads, writes, ConvertParams(), self.settings))
        shutil.rmtree(self.folder / "shards")


def _long(soft: pd.DataFrame) -> pd.DataFrame:
    """A row per picture and class."""
    named = soft.rename_axis(index="image_id", columns="class_id").stack()  # noqa: PD013 - melt would lose the index
    return named.rename("probability").reset_index()
