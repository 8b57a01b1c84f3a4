"""The checksum of an image in a beton: what tells a flipped bit from a pixel, which no decoder can."""

from __future__ import annotations

import xxhash


def checksum(stored: bytes | memoryview, *, mode: int, height: int, width: int) -> int:
    """XXH3 (64 bits) of a JPEG stream or raw pixels, and of what the beton's table says of them.

    Against accidents, not against people.
    """
    return xxhash.xxh3_64_intdigest(stored, seed=mode | height << 8 | width << 24)
