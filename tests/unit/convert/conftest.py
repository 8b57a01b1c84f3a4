"""Real images in real containers, as `download` and `inspect` leave them."""

import ctypes
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline_lib.betons.layout import Array
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.pixels import PixelRules, Undecodable, decode
from pipeline_lib.settings import Settings
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS


@pytest.fixture
def photo() -> Callable[[int, int, int], Array]:
    """A smooth image with a little noise, as photographs are: (seed, height, width) -> uint8 RGB."""

    def make(seed: int, height: int, width: int) -> Array:
        y, x = np.mgrid[0:height, 0:width] / 9
        waves = np.stack([np.sin(x + seed), np.cos(y * 0.7), np.sin(x + y)], axis=-1) * 90 + 120
        noise = np.random.default_rng(seed).normal(0, 3, waves.shape)
        return (waves + noise).clip(0, 255).astype(np.uint8)

    return make


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """(pixels, format, Pillow's options) -> the bytes of a file."""

    def encode(pixels: Array, kind: str = "JPEG", **options: Any) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(
            stream, kind, **({"quality": 92} if kind == "JPEG" else {}) | options
        )
        return stream.getvalue()

    return encode


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB; only root may mount one."""
    libc, folder = ctypes.CDLL(None, use_errno=True), tmp_path / "tiny"
    folder.mkdir()
    if (
        os.geteuid() != 0
        or libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, b"size=1m") != 0
    ):
        pytest.skip("needs the right to mount")
    yield folder
    libc.umount2(str(folder).encode(), 2)


@dataclass
class Inspected:
    """The outputs of download and inspect below one folder, and a way to run `convert` on them."""

    folder: Path

    def put(self, shards: dict[str, dict[str, bytes]]) -> None:
        """shard -> image_id -> bytes. What does not decode is refused in the images table."""
        (self.folder / "shards").mkdir(parents=True)
        members, images = [], []
        for shard, files in shards.items():
            (self.folder / "shards" / f"{shard}.bin").write_bytes(b"".join(files.values()))
            offset = 0
            for row, (image_id, data) in enumerate(files.items()):
                place = {
                    "container": f"{shard}.bin",
                    "offset_bytes": offset,
                    "size_bytes": len(data),
                }
                key = {"image_id": image_id, "shard": shard, "row_in_shard": row}
                members.append({**key, **place, "source": "test"})
                images.append({**key, **_size(data)})
                offset += len(data)
        MEMBERS.write(_frame(members, MEMBERS), self.folder / "members.parquet")
        IMAGES.write(_frame(images, IMAGES), self.folder / "images.parquet")
        (self.folder / "pixel_rules.json").write_text(PixelRules().model_dump_json())

    def job(
        self, name: str, *, workers: int = 1, state: str = "state", **params: Any
    ) -> StageRun[ConvertParams]:
        """A run of `convert` that writes the folder `name`."""
        reads = {role: self.folder / role for role in ("shards",)}
        reads |= {role: self.folder / f"{role}.parquet" for role in ("members", "images")}
        reads["pixel_rules"] = self.folder / "pixel_rules.json"
        settings = Settings(workers=workers, root=self.folder, state_dir=Path(state))
        return StageRun(
            self.folder, reads, {"betons": self.folder / name}, ConvertParams(**params), settings
        )


@pytest.fixture
def inspected(tmp_path: Path) -> Inspected:
    return Inspected(tmp_path)


def _size(data: bytes) -> dict[str, Any]:
    try:
        decoded = decode(data, PixelRules())
    except Undecodable as error:
        return {"refusal": str(error.reason)}
    return {name: getattr(decoded, name) for name in ("width_px", "height_px", "exif_orientation")}


def _frame(rows: list[dict[str, Any]], table: Any) -> pd.DataFrame:
    return (
        pd.DataFrame(rows, columns=[column.name for column in table.columns])
        .astype(object)
        .where(lambda f: f.notna(), None)
    )
