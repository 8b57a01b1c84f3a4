"""Convert one shard: read, decode, shrink, write, read every row back. A pure function of shard and parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline_lib.atomic_files import atomic_file
from pipeline_lib.betons.layout import Array
from pipeline_lib.convert.beton_writer import BetonWriter, page_bytes
from pipeline_lib.convert.jpeg_stream import encode_jpeg, same_picture
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.convert.read_back import Written, check_written
from pipeline_lib.errors import OutputDamaged
from pipeline_lib.pixels import Decoded, PixelRules, Undecodable, decode, shrink_to
from pipeline_lib.shards.read import MemberBytes
from pipeline_lib.tables.beton_index import BETON_INDEX

RAW_UP_TO_PX = 64  # `mode: auto`


@dataclass(frozen=True)
class Picture:
    """Where the bytes of a decodable picture lie, and its size once decoded."""

    image_id: str
    container: str
    offset_bytes: int
    size_bytes: int
    width_px: int
    height_px: int


@dataclass(frozen=True)
class Task:
    """One shard to convert. Small and picklable: it travels to a worker process."""

    shard: str
    pictures: tuple[Picture, ...]  # in the order of the shard
    shards_folder: Path
    params: ConvertParams
    rules: PixelRules

    @property
    def unit(self) -> str:
        """What the memo knows the result by, beside the parameters: the shard, and which pictures are decodable."""
        image_ids = "\n".join(picture.image_id for picture in self.pictures)
        return f"{self.shard}:{hashlib.sha256(image_ids.encode()).hexdigest()}"

    def files(self, folder: Path) -> list[Path]:
        """What the shard becomes: an index, and a beton unless no picture of it is decodable."""
        beton = [folder / f"{self.shard}.beton"] if self.pictures else []
        return [*beton, folder / f"{self.shard}.index.parquet"]


@dataclass(frozen=True)
class Stored:
    """A picture as it goes into the beton. stream: the JPEG, or None to keep the pixels themselves."""

    pixels_HWC: Array
    stream: bytes | None


def convert_shard(task: Task, folder: Path) -> None:
    """Write the beton and the index of a shard into `folder`.

    Raises OutputDamaged when the shard's bytes no longer decode as `inspect` saw, or the beton does not read back.
    """
    if task.pictures:
        _write_beton(task, folder / f"{task.shard}.beton")
    rows = pd.DataFrame({"row": range(len(task.pictures)), "image_id": [picture.image_id for picture in task.pictures]})
    BETON_INDEX.write(rows, folder / f"{task.shard}.index.parquet")


def stored_form(data: bytes, decoded: Decoded, params: ConvertParams) -> Stored:
    """Decide how a picture is kept. data: its bytes as received, passed on where they already are what is wanted."""
    pixels_HWC = decoded.pixels_HWC
    if params.short_side_px is not None:
        pixels_HWC = shrink_to(pixels_HWC, short_side_px=params.short_side_px)
    small = min(pixels_HWC.shape[:2]) <= RAW_UP_TO_PX
    if params.mode == "raw" or (params.mode == "auto" and small):
        return Stored(pixels_HWC, None)
    stream = same_picture(data, pixels_HWC) if decoded.format == "jpeg" else None
    return Stored(pixels_HWC, stream or encode_jpeg(pixels_HWC, quality=params.jpeg_quality))


def _write_beton(task: Task, path: Path) -> None:
    page_size = page_bytes(max(_most_bytes(picture, task.params) for picture in task.pictures))
    written: list[Written] = []
    with atomic_file(path) as file:
        writer = BetonWriter(file, n_max=len(task.pictures), page_size=page_size)
        for picture, stored in _stored_pictures(task):
            height, width = stored.pixels_HWC.shape[:2]
            if stored.stream is None:
                writer.add_raw(stored.pixels_HWC, name=picture.image_id)
            else:
                writer.add_jpg(stored.stream, height=height, width=width, name=picture.image_id)
            written.append(Written.of(picture.image_id, stored.pixels_HWC, stored.stream))
        writer.finish()
        check_written(Path(file.name), written)


def _stored_pictures(task: Task) -> Iterator[tuple[Picture, Stored]]:
    with MemberBytes(task.shards_folder) as members:
        for picture in task.pictures:
            data = members.read(picture.container, picture.offset_bytes, picture.size_bytes)
            try:
                decoded = decode(data, task.rules)
            except Undecodable as error:
                file, value = task.shards_folder / picture.container, f"{picture.image_id}: {error}"
                remedy = "run `dvc checkout line/download/shards`, then `dvc repro`"
                raise OutputDamaged("a picture no longer decodes", file=file, value=value, remedy=remedy) from error
            yield picture, stored_form(data, decoded, task.params)


def _most_bytes(picture: Picture, params: ConvertParams) -> int:
    """No stored form takes more bytes than the pixels, but for pictures far smaller than a page."""
    short = min(picture.width_px, picture.height_px)
    part = 1.0 if params.short_side_px is None else min(1.0, params.short_side_px / short)
    return round(3 * (picture.width_px * part + 1) * (picture.height_px * part + 1))
