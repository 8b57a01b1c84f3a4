"""A line up to `convert`, on which the real train stage runs with any rows and params, in this process."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline_lib.harness.stage import StageRun
from pipeline_lib.loader import open_still
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import score
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.networks.saved_weights import load_weights
from pipeline_lib.settings import Settings
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.tables.soft_labels import SOFT_LABELS
from pipeline_lib.tables.unlabelled import UNLABELLED
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.run import run


class BetonLine:
    """What `train` needs of a line. folder: for what it writes. betons: of all images."""

    def __init__(self, folder: Path, betons: Path) -> None:
        self.folder, self.betons = folder, betons
        self.settings = Settings(workers=1, device="cpu", root=folder, progress_every_s=3600)

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

        train, val: image_id, class_id, weight. unlabelled: rows without their label. soft: rows of SOFT_LABELS.
        """
        out = Path(tempfile.mkdtemp(dir=self.folder))
        without = UNLABELLED.empty() if unlabelled is None else unlabelled[["image_id"]]
        UNLABELLED.write(without, out / "selection/unlabelled.parquet")
        SOFT_LABELS.write(
            SOFT_LABELS.empty() if soft is None else soft, out / "selection/soft_labels.parquet"
        )
        classes = sorted(train["class_id"].unique())
        for split, rows in (("train", train), ("val", val)):
            own = rows.assign(label=rows["class_id"].map(classes.index).astype("int32"))
            SELECTION.write(
                own[["image_id", "label", "class_id", "weight"]],
                out / "selection" / f"{split}.parquet",
            )
        pd.DataFrame({"label": range(len(classes)), "class_id": classes, "name": classes}).to_csv(
            out / "classes.csv", index=False
        )
        reads = {
            "betons": self.betons,
            "selection": out / "selection",
            "classes": out / "classes.csv",
        }
        writes = {
            "weights": out / "weights",
            "curves": out / "curves.csv",
            "validation": out / "validation.json",
        }
        run(StageRun(self.folder, reads, writes, TrainParams(threads=1, **params), self.settings))
        return out / "weights"

    def right(self, weights: Path, rows: pd.DataFrame) -> pd.Series:
        """Whether each row's class_id is the model's answer: boolean by class_id."""
        about = read_model_file(weights)
        network = build_network(about.network, n_classes=len(about.classes), side_px=about.side_px)
        load_weights(network, weights)
        model = Classifier(network, mean=about.mean, std=about.std)
        rows = rows.assign(label=0, weight=1.0)
        loader = open_still(
            self.betons, rows, batch_size=90, side_px=about.side_px, kind="auto", workers=1
        )
        said = torch.cat(
            [scored.logits_BK.argmax(1) for scored in score(model, loader, torch.device("cpu"))]
        )
        loader.close()
        answers = np.array(about.classes)[said.numpy()]
        return pd.Series(answers == rows["class_id"].to_numpy(), index=rows["class_id"])
