"""Small images for pages: decoded by the one policy, made small, encoded anew, so that no metadata goes along.

What `convert.pixelate` makes unrecognisable in training's images is so here too, in the same boxes: they are found before
the image is made small.

The review page carries them as data URIs. A report keeps them as files named by content, which the reports of other
versions share by hard link; whoever must erase an image finds it in all of them by its sha256.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from pipeline_lib.files.atomic import link_or_copy
from pipeline_lib.pixels import PixelRules, Undecodable, decode, shrink_to
from pipeline_lib.pixels.pixelate import Pixelation
from pipeline_lib.shards.read import MemberBytes

SIDE_PX = 112  # short side; larger on screens of high density than the 96 CSS pixels it is shown at
TINY_PX = 64  # up to here PNG is smaller than JPEG and shows the very pixels
# A report is meant to be sent: what its text leaves of 24 MB goes to images, but never too little and never too much.
WHOLE_BYTES = 24_000_000  # of a report
TEXT_BYTES = 550  # about an image in one place, with its share of the pages: benchmarks/whole/report_scale.py
LEAST_BYTES, MOST_BYTES = 4_000_000, 10_000_000
AT_ONCE = 64  # decoded before the budget is looked at
Pixels = npt.NDArray[np.uint8]
KEY_CHARACTERS = 16  # of a sha256 in a file's name: 64 bits


@dataclass(frozen=True)
class Size:
    """How small and how exact a file is: short side in pixels, WebP quality 0..100."""

    short_side_px: int
    quality: int


FEW = Size(SIDE_PX, 72)
MANY = Size(88, 45)  # about 1.2 kB for a photograph
FEW_IMAGES = 2_500


@dataclass(frozen=True)
class Thumbnail:
    """A file in the report's folder of images. tiny: shown with its pixels enlarged."""

    file: str
    tiny: bool


def thumbnail_files(
    image_ids: Sequence[str],
    *,
    members: pd.DataFrame,
    shards: Path,
    rules: PixelRules,
    pixelation: Pixelation | None,
    folder: Path,
    known: Mapping[str, Path],
    workers: int = 1,
) -> dict[str, Thumbnail]:
    """Write thumbnails into `folder`, the first ones first, until they weigh too much; image_id -> its file.

    image_ids: one per place where an image is shown. members: the members table. known: name -> file of an earlier
    report, linked and not made again. What cannot be decoded, and what is over the budget, is not in the result.
    """
    left = WHOLE_BYTES - TEXT_BYTES * len(image_ids)
    budget = min(max(left, LEAST_BYTES), MOST_BYTES)
    size = FEW if len(set(image_ids)) <= FEW_IMAGES else MANY
    about = f"{rules.model_dump_json()}|{size}" + (f"|{pixelation}" if pixelation else "")
    ending = f"-{hashlib.sha256(about.encode()).hexdigest()[:6]}.webp"
    chosen = members[members["image_id"].isin(image_ids) & members["container"].notna()]
    row_of = {row["image_id"]: row for row in chosen.to_dict("records")}
    content_of = {
        image_id: row_of[image_id]["sha256"] for image_id in image_ids if image_id in row_of
    }
    one_of = {row["sha256"]: row for row in row_of.values()}
    wanted = [one_of[sha256] for sha256 in dict.fromkeys(content_of.values())]
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, Thumbnail] = {}  # by content
    weight = 0
    n_threads = 1 if pixelation else workers  # a detector was written for one process
    with MemberBytes(shards) as source, ThreadPoolExecutor(n_threads) as pool:
        make = partial(
            _write,
            source=source,
            rules=rules,
            pixelation=pixelation,
            size=size,
            folder=folder,
            known=known,
            ending=ending,
        )
        for start in range(0, len(wanted), AT_ONCE):
            batch = wanted[start : start + AT_ONCE]
            for row, one in zip(batch, pool.map(make, batch), strict=True):
                if one is not None:
                    made[row["sha256"]] = one
                    weight += (folder / one.file).stat().st_size
            if weight > budget:
                break
    return {image_id: made[sha256] for image_id, sha256 in content_of.items() if sha256 in made}


def known_thumbnails(reports: Path) -> dict[str, Path]:
    """Name -> file of every thumbnail in the reports of other versions. reports: the folder of all reports."""
    folders = [one for one in reports.glob("*/images") if not one.parent.is_symlink()]
    return {file.name: file for folder in sorted(folders) for file in folder.glob("*.webp")}


def _write(
    row: Mapping[str, Any],
    *,
    source: MemberBytes,
    rules: PixelRules,
    pixelation: Pixelation | None,
    size: Size,
    folder: Path,
    known: Mapping[str, Path],
    ending: str,
) -> Thumbnail | None:
    target = folder / f"{row['sha256'][:KEY_CHARACTERS]}{ending}"
    earlier = known.get(target.name)
    if earlier is not None and not target.exists():
        link_or_copy(earlier, target)
    if target.exists():
        with Image.open(target) as image:
            return Thumbnail(target.name, max(image.size) <= TINY_PX)
    pixels_HWC = _visible_or_none(row, source, rules, pixelation)
    if pixels_HWC is None:
        return None
    small = Image.fromarray(shrink_to(pixels_HWC, short_side_px=size.short_side_px))
    tiny = max(small.size) <= TINY_PX
    if tiny:
        small.save(target, "WEBP", lossless=True, quality=100)
    else:
        small.save(target, "WEBP", quality=size.quality)
    return Thumbnail(target.name, tiny)


def thumbnails(
    image_ids: Iterable[str],
    *,
    members: pd.DataFrame,
    shards: Path,
    rules: PixelRules,
    pixelation: Pixelation | None = None,
    short_side_px: int = SIDE_PX,
) -> dict[str, str]:
    """image_id -> data URI; "" where the bytes give no image. members: the members table."""
    pixels_of = visible_images(
        image_ids, members=members, shards=shards, rules=rules, pixelation=pixelation
    )
    return {
        row["image_id"]: data_uri(shrink_to(pixels_HWC, short_side_px=short_side_px))
        if pixels_HWC is not None
        else ""
        for row, pixels_HWC in pixels_of
    }


def visible_images(
    image_ids: Iterable[str],
    *,
    members: pd.DataFrame,
    shards: Path,
    rules: PixelRules,
    pixelation: Pixelation | None,
) -> Iterator[tuple[dict[Any, Any], Pixels | None]]:
    """Yield the members row of each image that has bytes, with its pixels as people may see them; None: undecodable."""
    wanted = members[members["image_id"].isin(list(image_ids)) & members["container"].notna()]
    with MemberBytes(shards) as source:
        for row in wanted.to_dict("records"):
            yield row, _visible_or_none(row, source, rules, pixelation)


def _visible_or_none(
    row: Mapping[Any, Any], source: MemberBytes, rules: PixelRules, pixelation: Pixelation | None
) -> Pixels | None:
    data = source.read(row["container"], row["offset_bytes"], row["size_bytes"])
    try:
        return visible_pixels(data, rules, pixelation)
    except Undecodable:
        return None


def visible_pixels(data: bytes, rules: PixelRules, pixelation: Pixelation | None) -> Pixels:
    """Pixels that people may see. Raises Undecodable."""
    pixels_HWC = decode(data, rules).pixels_HWC
    return pixelation.apply(pixels_HWC) if pixelation else pixels_HWC


def data_uri(pixels_HWC: Pixels) -> str:
    """A PNG (tiny images) or JPEG of these pixels, without metadata, as a `data:` URI."""
    image, buffer = Image.fromarray(pixels_HWC), io.BytesIO()
    tiny = max(image.size) <= TINY_PX
    if tiny:
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=82)
    return f"data:image/{'png' if tiny else 'jpeg'};base64,{base64.b64encode(buffer.getvalue()).decode()}"
