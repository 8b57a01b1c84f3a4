"""Images as data URIs: decoded by the one policy, made small, encoded anew, so that no metadata goes along."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from pipeline_lib.pixels import PixelRules, Undecodable, decode, shrink_to
from pipeline_lib.shards.read import MemberBytes

SIDE_PX = 112  # short side; larger on screens of high density than the 96 CSS pixels it is shown at
TINY_PX = 64  # up to here PNG is smaller than JPEG and shows the very pixels


def thumbnails(
    image_ids: Iterable[str],
    *,
    members: pd.DataFrame,
    shards: Path,
    rules: PixelRules,
    short_side_px: int = SIDE_PX,
) -> dict[str, str]:
    """image_id -> data URI; "" where the bytes give no image. members: the members table."""
    wanted = members[members["image_id"].isin(list(image_ids)) & members["container"].notna()]
    found: dict[str, str] = {}
    with MemberBytes(shards) as source:
        for row in wanted.to_dict("records"):
            data = source.read(row["container"], row["offset_bytes"], row["size_bytes"])
            try:
                pixels_HWC = decode(data, rules).pixels_HWC
            except Undecodable:
                found[row["image_id"]] = ""
            else:
                found[row["image_id"]] = data_uri(
                    shrink_to(pixels_HWC, short_side_px=short_side_px)
                )
    return found


def data_uri(pixels_HWC: npt.NDArray[np.uint8]) -> str:
    """A PNG (tiny images) or JPEG of these pixels, without metadata, as a `data:` URI."""
    image, buffer = Image.fromarray(pixels_HWC), io.BytesIO()
    tiny = max(image.size) <= TINY_PX
    if tiny:
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=82)
    return f"data:image/{'png' if tiny else 'jpeg'};base64,{base64.b64encode(buffer.getvalue()).decode()}"
