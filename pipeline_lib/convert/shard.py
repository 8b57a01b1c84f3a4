"""Convert one shard: read, decode, shrink, write, read every row back. A pure function of shard and parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from pipeline_lib.betons.layout import MAX_PAGE_BYTES
from pipeline_lib.convert.beton_writer import BetonWriter, page_bytes
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.convert.read_back import Written, check_written
from pipeline_lib.convert.stored import ReceivedImage, stored_form
from pipeline_lib.errors import BadData
from pipeline_lib.files.atomic import atomic_file
from pipeline_lib.pixels import PixelRules
from pipeline_lib.shards.read import MemberBytes
from pipeline_lib.tables.beton_index import BETON_INDEX


@dataclass(frozen=True)
class Task:
    """One shard to convert into `folder`. Small and picklable, since it is sent to a worker process."""

    shard: str
    folder: Path
    images: tuple[ReceivedImage, ...]  # in the order of the shard
    shards_folder: Path
    params: ConvertParams
    rules: PixelRules

    @property
    def memo_key(self) -> str:
        """The shard and its decodable images."""
        image_ids = "\n".join(image.image_id for image in self.images)
        return f"{self.shard}:{hashlib.sha256(image_ids.encode()).hexdigest()}"

    @property
    def n_images(self) -> int:
        return len(self.images)

    @property
    def size_bytes(self) -> int:
        return sum(image.size_bytes for image in self.images)

    @property
    def beton(self) -> Path:
        """Its beton, if at least one image is decodable."""
        return self.folder / f"{self.shard}.beton"

    @property
    def index(self) -> Path:
        """The image of each row."""
        return self.folder / f"{self.shard}.index.parquet"

    def files(self) -> list[Path]:
        """The output files of the shard: an index, and a beton if at least one image is decodable."""
        return [self.beton, self.index] if self.images else [self.index]


def convert_shard(task: Task, at: Callable[[str], None]) -> Literal[True]:
    """Write the beton and the index of a shard; the memo may always keep them. at: called with each image_id in turn.

    Raises OutputDamaged if the shard's bytes no longer decode as they did in `inspect`, or the beton does not read
    back; BadData when an image is too large for a beton; NoSpace.
    """
    written = _write_beton(task, task.beton, at) if task.images else []
    rows = [(row, one.image_id, one.checksum) for row, one in enumerate(written)]
    columns = [column.name for column in BETON_INDEX.columns]
    BETON_INDEX.write(pd.DataFrame(rows, columns=columns), task.index)
    return True


def _write_beton(task: Task, path: Path, at: Callable[[str], None]) -> list[Written]:
    """Write and check a beton; return the content of its rows."""
    page_size = page_bytes(_largest(task))
    written: list[Written] = []
    with atomic_file(path) as file, MemberBytes(task.shards_folder) as members:
        writer = BetonWriter(file, n_max=len(task.images), page_size=page_size)
        for image in task.images:
            at(image.image_id)
            data = members.read(image.container, image.offset_bytes, image.size_bytes)
            stored = stored_form(data, image, task.params, task.rules, shards=task.shards_folder)
            writer.add(stored, name=image.image_id)
            written.append(Written.of(image.image_id, stored))
        writer.finish()
        check_written(Path(file.name), written)
    return written


def _largest(task: Task) -> int:
    """Return an upper bound on the bytes of the largest image. Raises BadData naming it if no page can hold it."""
    size_bytes, image_id = max(
        (most_bytes(image, task.params), image.image_id) for image in task.images
    )
    if size_bytes > MAX_PAGE_BYTES:
        value, remedy = (
            f"{size_bytes} bytes",
            "set convert.long_side_px, which shrinks it, and run `dvc repro`",
        )
        what = f"a beton holds images of at most {MAX_PAGE_BYTES} bytes"
        raise BadData(what, file=image_id, value=value, remedy=remedy)
    return size_bytes


def most_bytes(image: ReceivedImage, params: ConvertParams) -> int:
    """Return an upper bound: no stored form takes more bytes than the pixels, except tiny images, below a page."""
    width, height = params.of(image.width_px, image.height_px)
    return 3 * (width + 1) * (height + 1)
