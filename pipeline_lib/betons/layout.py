"""The byte layout of our betons: FFCV format 2 with the two fields `image` and `row`, little endian; and the checksum.

| offset            | content                                                                                |
|-------------------|----------------------------------------------------------------------------------------|
| 0                 | HEADER                                                                                 |
| 24                | DESCRIPTOR of `image`, then of `row`                                                   |
| 24 + 2 * 1041     | SAMPLE per image                                                                       |
| next page         | pages of images; an image lies inside one page, the rest of a page is zero             |
| alloc_table_ptr   | ALLOCATION per image, to the end of the file                                           |

Source: ffcv 1.0.2, ffcv/types.py and ffcv/writer.py; tests compare with what its own writer makes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

Array = npt.NDArray[Any]

HEADER = np.dtype(
    [
        ("version", "<u2"),
        ("num_fields", "<u2"),
        ("page_size", "<u4"),
        ("num_samples", "<u8"),
        ("alloc_table_ptr", "<u8"),
    ]
)
DESCRIPTOR = np.dtype([("type_id", "u1"), ("name", "S16"), ("arguments", "u1", 1024)])
IMAGE = np.dtype(
    [("mode", "u1"), ("width", "<u2"), ("height", "<u2"), ("data_ptr", "<u8")]
)  # packed: 13 bytes
SAMPLE = np.dtype(
    {"names": ["image", "row"], "formats": [IMAGE, "<i8"], "offsets": [0, 16], "itemsize": 24}
)
ALLOCATION = np.dtype([("sample_id", "<u8"), ("ptr", "<u8"), ("size", "<u8")])

# The table of samples begins where the descriptors end.
SAMPLES_AT = HEADER.itemsize + 2 * DESCRIPTOR.itemsize

VERSION = 2
JPG, RAW = 0, 1  # IMAGE.mode
MIN_PAGE_BYTES, MAX_PAGE_BYTES = 1 << 21, 1 << 31  # powers of two; FFCV refuses others


def descriptors() -> Array:
    """The two field descriptors: an RGB image (FFCV's type 2) and an integer (type 1), neither with arguments."""
    # Kinds of FFCV's own, so that its readers need no option.
    fields = np.zeros(2, DESCRIPTOR)
    fields["type_id"] = (2, 1)
    fields["name"] = (b"image", b"row")
    return fields


def checksum(stored: bytes | memoryview, *, mode: int, height: int, width: int) -> int:
    """XXH3 (64 bits) of a JPEG stream or raw pixels, and of what the beton's table says of them.

    It tells a flipped bit from a pixel, which no decoder can. Against accidents, not against people.
    """
    return xxhash.xxh3_64_intdigest(stored, seed=mode | height << 8 | width << 24)
