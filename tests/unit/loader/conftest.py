"""Betons made by `convert` itself: small raw images, and larger ones raw and as JPEG, in three shards."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline_lib.betons.layout import Array
from pipeline_lib.betons.read import open_beton
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.convert.shard import Task, convert_shard
from pipeline_lib.convert.stored import ReceivedImage
from pipeline_lib.loader import Augmentation, Batch, BatchLoader, open_loader
from pipeline_lib.pixels import PixelRules
from pipeline_lib.tables.beton_index import BETON_INDEX

KINDS = ["native", "python"]
CROPS = Augmentation(scale_min=0.3, flip=True)
EVERYTHING = Augmentation(
    scale_min=0.3, ratio_max=1.5, flip=True, shift_px=3, rotation_deg=15, zoom=0.2, shear_deg=10,
    brightness=0.2, contrast=0.2, saturation=0.2, cutout_px=8,
)  # fmt: skip


@dataclass(frozen=True)
class Betons:
    """A folder of betons, and the pixels that were put in: image_id -> uint8 RGB."""

    folder: Path
    images: dict[str, Array]

    def selection(self, prefix: str = "") -> pd.DataFrame:
        """The images whose name begins so, in an order that is not that of the betons."""
        image_ids = sorted(
            (name for name in self.images if name.startswith(prefix)), key=lambda name: name[::-1]
        )
        numbers = np.arange(len(image_ids))
        return pd.DataFrame(
            {"image_id": image_ids, "label": numbers % 10, "weight": 1 + numbers / 8}
        )

    def open(self, prefix: str = "", **options: Any) -> BatchLoader:
        """Open a loader; the defaults are those of training."""
        defaults: dict[str, Any] = {
            "batch_size": 16,
            "side_px": 32,
            "augmentation": EVERYTHING,
            "shuffle": True,
        }
        defaults |= {"seed": 7, "drop_last": False, "kind": "native", "workers": 2}
        return open_loader(self.folder, self.selection(prefix), **(defaults | options))


def make_betons(folder: Path) -> Betons:
    """Shards `small` (30 images of 32x32, raw), `raw` (20 of many sizes) and `jpg` (20 of many sizes)."""
    rng = np.random.default_rng(0)
    sizes = [(int(rng.integers(20, 90)), int(rng.integers(20, 90))) for _ in range(20)]
    shards = {"small": [(32, 32)] * 30, "raw": sizes, "jpg": sizes}
    images: dict[str, npt.NDArray[np.uint8]] = {}
    for shard, shapes in shards.items():
        named = {
            f"{shard}/{number}.png": _photo(number, *shape) for number, shape in enumerate(shapes)
        }
        mode = ConvertParams(mode="jpg" if shard == "jpg" else "raw")
        write_beton(folder, shard, named, mode)
        images |= named
    return Betons(folder / "betons", images)


def damage_jpeg(betons: Betons, row: int) -> str:
    """Cut a stored JPEG short by overwriting its second half; returns the image's image_id."""
    path = betons.folder / "jpg.beton"
    beton = open_beton(path)
    start, size = int(beton.samples_N["image"]["data_ptr"][row]), int(beton.sizes_N[row])
    with path.open("r+b") as file:
        file.seek(start + size // 2)
        file.write(b"\xff\xd9" + bytes(size // 2 - 2))
    return str(BETON_INDEX.read(betons.folder / "jpg.index.parquet")["image_id"][row])


def joined(batches: list[Batch]) -> Batch:
    names = ("images_BHWC", "labels_B", "weights_B", "positions_B")
    return Batch(*(torch.cat([getattr(batch, name) for batch in batches]) for name in names))


def one_epoch(loader: BatchLoader, epoch: int = 0) -> Batch:
    return joined(list(loader.epoch(epoch)))


def digest(batch: Batch) -> str:
    return hashlib.sha256(
        batch.images_BHWC.numpy().tobytes() + batch.positions_B.numpy().tobytes()
    ).hexdigest()


@pytest.fixture(scope="session")
def betons(tmp_path_factory: pytest.TempPathFactory) -> Betons:
    return make_betons(tmp_path_factory.mktemp("line"))


@pytest.fixture
def own_betons(tmp_path: Path) -> Betons:
    """A set of its own, for a test that damages it."""
    return make_betons(tmp_path)


@pytest.fixture
def uncompiled() -> Iterator[None]:
    """FFCV's own switch: the same Python, without seconds of compiling for each of its Loaders."""
    from pipeline_lib.loader.ffcv_loader import Compiler

    Compiler.set_enabled(False)
    yield
    Compiler.set_enabled(True)


def write_beton(folder: Path, shard: str, images: dict[str, Array], params: ConvertParams) -> None:
    """Convert images (image_id -> uint8 RGB) as one shard into `folder`/betons."""
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    (folder / "betons").mkdir(exist_ok=True)
    content, places = b"", []
    for image_id, pixels in images.items():
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        data, (height, width) = stream.getvalue(), pixels.shape[:2]
        places.append(
            ReceivedImage(image_id, f"{shard}.bin", len(content), len(data), width, height, 1)
        )
        content += data
    (folder / "shards" / f"{shard}.bin").write_bytes(content)
    task = Task(shard, folder / "betons", tuple(places), folder / "shards", params, PixelRules())
    convert_shard(task, lambda image_id: None)


def _photo(seed: int, height: int, width: int) -> Array:
    y, x = np.mgrid[0:height, 0:width] / 9
    waves: Sequence[Any] = [np.sin(x + seed), np.cos(y * 0.7 + seed), np.sin(x + y)]
    return (np.stack(waves, axis=-1) * 110 + 127).astype(np.uint8)
