"""The digits of scikit-learn as a line up to `convert`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks.beton_line import BetonLine
from demo.pictures import load_scans, png
from pipeline_lib.convert import run as convert_stage
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.pixels import PixelRules
from pipeline_lib.stage import StageRun
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS

SHARD = "d" * 16
TEST, VAL = 0.2, 0.1  # shares of all 1,797 digits


@dataclass(frozen=True)
class Split:
    """Rows of a selection (image_id, label, class_id, weight), drawn so that all classes have their share."""

    train: pd.DataFrame
    val: pd.DataFrame
    test: pd.DataFrame


class DigitLine(BetonLine):
    """Betons of all digits below a folder, and draws of training, validation and test rows."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, folder / "betons")
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
        writes = {"betons": self.betons}
        convert_stage.run(StageRun(self.folder, reads, writes, ConvertParams(), self.settings))
        shutil.rmtree(self.folder / "shards")
