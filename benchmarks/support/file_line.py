"""Images in files as a line up to `convert`: what trainings on any small collection start from."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from benchmarks.support.beton_line import BetonLine
from pipeline_lib.convert import run as convert_stage
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.pixels import PixelRules
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS

SHARD = "d" * 16


@dataclass(frozen=True)
class Picture:
    """image_id and class_id as in the tables; data: the bytes of the file."""

    image_id: str
    class_id: str
    data: bytes


class FileLine(BetonLine):
    """Betons of all images below a folder. rows: image_id, class_id, label (by the order of class_id), weight."""

    def __init__(
        self,
        folder: Path,
        pictures: Sequence[Picture],
        *,
        convert: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(folder, folder / "betons")
        ordered = sorted(pictures, key=lambda picture: picture.image_id)
        classes = sorted({picture.class_id for picture in ordered})
        self.rows = pd.DataFrame(
            {
                "image_id": [picture.image_id for picture in ordered],
                "class_id": [picture.class_id for picture in ordered],
                "weight": 1.0,
            }
        )
        self.rows["label"] = self.rows["class_id"].map(classes.index).astype("int32")
        self._convert(ordered, ConvertParams.model_validate(convert or {}))

    def _convert(self, pictures: Sequence[Picture], params: ConvertParams) -> None:
        """What download and inspect would leave, and the betons that convert makes of it."""
        members, images, content = [], [], bytearray()
        for number, picture in enumerate(pictures):
            with Image.open(io.BytesIO(picture.data)) as opened:
                width_px, height_px = opened.size
                orientation = opened.getexif().get(0x0112, 1)
            common = {"image_id": picture.image_id, "shard": SHARD, "row_in_shard": number}
            place = {"container": SHARD, "source": "files", "offset_bytes": len(content)}
            members.append({**common, **place, "size_bytes": len(picture.data)})
            images.append(
                {
                    **common,
                    "width_px": width_px,
                    "height_px": height_px,
                    "exif_orientation": orientation,
                }
            )
            content += picture.data
        (self.folder / "shards").mkdir(parents=True)
        (self.folder / "shards" / SHARD).write_bytes(content)
        for table, records in ((MEMBERS, members), (IMAGES, images)):
            frame = pd.DataFrame(records, columns=[column.name for column in table.columns]).astype(
                object
            )
            table.write(frame.where(frame.notna(), None), self.folder / f"{table.name}.parquet")
        (self.folder / "pixel_rules.json").write_text(
            PixelRules().model_dump_json(), encoding="utf-8"
        )
        reads = {role: self.folder / f"{role}.parquet" for role in ("members", "images")}
        reads |= {"shards": self.folder / "shards", "pixel_rules": self.folder / "pixel_rules.json"}
        convert_stage.run(
            StageRun(self.folder, reads, {"betons": self.betons}, params, self.settings)
        )
        shutil.rmtree(self.folder / "shards")
