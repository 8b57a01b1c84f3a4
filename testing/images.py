"""Images and files made for the tests of decoding."""

import io
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline_lib.pixels import PixelRules, Undecodable, decode

RULES = PixelRules()
PAGE_BYTES = 4096


def photo(*, width: int = 160, height: int = 120, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Something like a photograph: smooth colours, a few edges, a little noise. uint8 [height, width, 3]."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    pixels[height // 4 : height // 2, width // 3 : width // 2] = random.integers(0, 256, 3)
    return np.clip(pixels + random.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)


def encoded(pixels: npt.NDArray[np.uint8] | Image.Image, kind: str, **options: Any) -> bytes:
    """The file that Pillow writes of an array or an image."""
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pillow_pixels(data: bytes) -> npt.NDArray[np.int_]:
    """What Pillow makes of a file, as int RGB."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def refusal(data: bytes, rules: PixelRules = RULES) -> str:
    """The reason code of a file that is refused, or "" when it is decoded."""
    try:
        decode(data, rules)
    except Undecodable as verdict:
        return verdict.reason.value
    return ""


def with_zeroed_page(data: bytes, *, start: int) -> bytes:
    """The file with PAGE_BYTES zeros at `start`, its length unchanged."""
    return data[:start] + bytes(PAGE_BYTES) + data[start + PAGE_BYTES :]


def with_claimed_size(jpeg: bytes, *, width: int, height: int) -> bytes:
    """A JPEG whose header claims another size."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def grey_jpeg_with_sampling(factors: Sequence[tuple[int, int]], *, side: int = 32) -> bytes:
    """A mid-grey JPEG with any sampling factors ((h, v) of Y, Cb, Cr), written bit by bit.

    Every block of a mid-grey image is all zeros: with the standard Huffman tables (T.81 annex K) that is 00 1010 for
    luminance (difference 0, end of block) and 00 00 for colour.
    """
    plain = bytearray(
        encoded(Image.new("YCbCr", (side, side), (128, 128, 128)), "JPEG", subsampling=0)
    )
    frame = plain.index(b"\xff\xc0")
    for number, (across, down) in enumerate(factors):
        plain[frame + 11 + 3 * number] = across << 4 | down
    scan = plain.index(b"\xff\xda")
    scan += 2 + int.from_bytes(plain[scan + 2 : scan + 4], "big")
    units = -(-side // (8 * max(h for h, _ in factors))) * -(
        -side // (8 * max(v for _, v in factors))
    )
    luma, *colours = (h * v for h, v in factors)
    bits = ("001010" * luma + "0000" * sum(colours)) * units
    bits += "1" * (-len(bits) % 8)
    return bytes(plain[:scan]) + int(bits, 2).to_bytes(len(bits) // 8, "big") + b"\xff\xd9"


def progressive_jpeg(side: int, n_scans: int) -> bytes:
    """A grey JPEG of one shade: a scan of the means, then of each frequency, bit plane by bit plane (T.81 annex G).

    Each scan after the first says in a few bytes that it changes no block.
    """
    blocks = (side // 8) ** 2
    data = b"\xff\xd8" + segment(0xDB, b"\0" + bytes(64 * [1]))
    data += segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    data += segment(0xC4, b"\0\1" + bytes(15) + b"\0") + segment(
        0xC4, b"\x10\1" + bytes(15) + b"\xe0"
    )
    data += segment(0xDA, b"\1\1\0\0\0\0") + as_bytes("0" * blocks)
    run = as_bytes("".join("0" + format(length - 16384, "014b") for length in runs_of(blocks)))
    planes = [
        (k, high, low)
        for k in range(1, 64)
        for high, low in [(0, 7), *((bit + 1, bit) for bit in range(6, -1, -1))]
    ]
    for k, high, low in planes[: n_scans - 1]:
        data += segment(0xDA, bytes([1, 1, 0, k, k, high << 4 | low])) + run
    return data + b"\xff\xd9"


def runs_of(blocks: int) -> Iterator[int]:
    """A number of blocks as end-of-band runs of 16,384 to 32,767."""
    while blocks:
        run = min(blocks, 32767) if not 0 < blocks - 32767 < 16384 else blocks - 16384
        yield run
        blocks -= run


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def as_bytes(bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
