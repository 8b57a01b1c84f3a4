"""Small images, archives and tables, of which data sets in true layouts are made."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIDE_PX: Final = 24
N: Final = 12  # images of most sets
Files = Mapping[str, bytes]


@cache
def image(seed: int, kind: str = "PNG") -> bytes:
    """A small image that no other resembles."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC).save(stream, kind)
    return stream.getvalue()


def images(names: Sequence[str], first: int = 0) -> dict[str, bytes]:
    """An image for each name. first: number of the first image."""
    return {
        name: image(
            seed, "PNG" if name.endswith(".png") else "PPM" if name.endswith(".ppm") else "JPEG"
        )
        for seed, name in enumerate(names, first)
    }


def lines(rows: Sequence[str], *, end: str = "\n") -> bytes:
    """Text of some lines."""
    return "".join(row + end for row in rows).encode()


def tar(files: Files, mode: str = "w") -> bytes:
    """A tar of files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def packed_zip(files: Files) -> bytes:
    """A compressed zip of files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def parquet(
    columns: Mapping[str, object], *, names: Mapping[str, Sequence[str]] | None = None
) -> bytes:
    """A Parquet file; names: of the classes of ClassLabel columns, as `datasets` writes them."""
    table = pa.table(dict(columns))
    if names:
        features = {key: {"names": list(of), "_type": "ClassLabel"} for key, of in names.items()}
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=4)
    return stream.getvalue()


def pet(n: int) -> str:
    """cat or dog, by turns."""
    return ("cat", "dog")[n % 2]


def of_test(n: int) -> bool:
    """Whether an image is one of the last third."""
    return n >= N * 2 // 3


def below(folder: str, files: Files) -> dict[str, bytes]:
    """The same files in a folder."""
    return {f"{folder}/{name}": data for name, data in files.items()}


def flat(ending: str = "png") -> dict[str, bytes]:
    """Images in one folder, by number."""
    return images([f"{n}.{ending}" for n in range(N)])
