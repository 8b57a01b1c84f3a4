"""Small real files as people have them, and what becomes of each: the table of docs/files.md."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.quality import quality_remarks
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.shards.sniff import HEAD_BYTES, may_be_image
from pipeline_lib.sources.names import is_undecided, refusal
from pipeline_lib.tables.images import IMAGES

SIDE_PX: Final = 64
PNG_HEAD: Final = 33  # bytes of the signature and the first chunk
Pixels = NDArray[Any]


@dataclass(frozen=True)
class Odd:
    """A file: its name, what it is, and its bytes."""

    name: str
    what: str
    data: bytes


def odd_files() -> Iterator[Odd]:
    """Every row of the table, in its order."""
    yield from _formats()
    yield from _pngs()
    yield from _samples()
    yield from _by_name()
    yield from _damaged()


def outcome(file: Odd) -> str:
    """What becomes of a file, in the words of the table: read, with remarks; or why it is set aside."""
    if reason := refusal(file.name):
        return f"not taken, by its name: `{reason}`"
    if is_undecided(file.name) and not may_be_image(file.data[:HEAD_BYTES]):
        return "not taken, by its bytes: `not_image`"
    found = examine(f"made/{file.name}", file.data, InspectParams()).findings
    if found["refusal"]:
        return f"set aside: `{found['refusal']}` ({found['detail']})"
    rows = IMAGES.empty().reindex(columns=[column.name for column in IMAGES.columns])
    rows = pd.concat(
        [rows, pd.DataFrame([{**dict.fromkeys(rows.columns), **found}])], ignore_index=True
    )
    remarks = [
        f"`{code}`" for code, mask in quality_remarks(rows, CurateParams()).items() if mask.any()
    ]
    return "read" + (f", with a remark: {', '.join(remarks)}" if remarks else "")


def photo(seed: int = 0, *, side_px: int = SIDE_PX) -> Pixels:
    """Smooth colours and sharp edges with some noise, uint8 RGB."""
    random = np.random.default_rng(seed)
    smooth, edged = (
        Image.fromarray(random.integers(0, 256, (n, n, 3), dtype=np.uint8)).resize(
            (side_px, side_px), resample
        )
        for n, resample in ((4, Image.Resampling.BICUBIC), (11, Image.Resampling.NEAREST))
    )
    noise = random.integers(-30, 31, (side_px, side_px, 3))
    mixed = (np.asarray(smooth, dtype=int) + np.asarray(edged)) // 2
    return np.asarray(np.clip(mixed + noise, 0, 255), dtype=np.uint8)


def encoded(pixels: Pixels | Image.Image, kind: str, **options: Any) -> bytes:
    """A file of Pillow's format `kind`."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_with(name: bytes, body: bytes, *, crc_error: int = 0, mode: str = "RGB") -> bytes:
    """A PNG with one more chunk after the first."""
    return with_chunk(
        encoded(Image.fromarray(photo()).convert(mode), "PNG"), name, body, crc_error=crc_error
    )


def with_chunk(data: bytes, name: bytes, body: bytes, *, crc_error: int = 0) -> bytes:
    """The PNG with one more chunk after the first."""
    crc = zlib.crc32(name + body) ^ crc_error
    return (
        data[:PNG_HEAD]
        + len(body).to_bytes(4, "big")
        + name
        + body
        + crc.to_bytes(4, "big")
        + data[PNG_HEAD:]
    )


def white_icon() -> Image.Image:
    """A white ring on transparency."""
    row, column = np.ogrid[:SIDE_PX, :SIDE_PX]
    distance = np.hypot(row - SIDE_PX / 2, column - SIDE_PX / 2)
    alpha = np.where((distance > SIDE_PX / 5) & (distance < SIDE_PX / 3), 255, 0).astype(np.uint8)
    return Image.fromarray(
        np.dstack([np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8), alpha]), "RGBA"
    )


def cut_and_saved_again() -> bytes:
    """A JPEG that stopped half-way, was opened by a program that does not mind, and saved."""
    cut = photo(1, side_px=128)
    cut[64:] = 128
    return encoded(cut, "JPEG", quality=90)


def tiff_of_floats(bands: int) -> bytes:
    """An uncompressed TIFF of 32-bit floats."""
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    pixels = np.random.default_rng(0).random((SIDE_PX, SIDE_PX, bands), dtype=np.float32)
    header_bytes = 8
    facts = {
        256: SIDE_PX,
        257: SIDE_PX,
        258: (32,) * bands,
        259: 1,
        262: 2 if bands == 3 else 1,
        273: 0,
        277: bands,
    }
    for tag, value in {**facts, 278: SIDE_PX, 279: pixels.nbytes, 339: (3,) * bands}.items():
        tags[tag] = value
    at = header_bytes + len(tags.tobytes(header_bytes))
    tags[273] = at
    return (
        b"II*\0"
        + header_bytes.to_bytes(4, "little")
        + tags.tobytes(header_bytes)
        + pixels.tobytes()
    )


def _formats() -> Iterator[Odd]:
    grey = photo()[..., 0].copy()
    yield Odd("photo.jpg", "JPEG", encoded(photo(), "JPEG"))
    yield Odd(
        "photo.mpo", "JPEG with a second view behind it, as phones and 3-D cameras write", _mpo()
    )
    for kind, ending in (
        ("PNG", "png"),
        ("WEBP", "webp"),
        ("AVIF", "avif"),
        ("BMP", "bmp"),
        ("TIFF", "tif"),
    ):
        yield Odd(f"photo.{ending}", kind.replace("WEBP", "WebP"), encoded(photo(), kind))
    yield Odd("moving.gif", "animated GIF", _moving())
    yield Odd("photo.ppm", "PPM, colour", encoded(photo(), "PPM"))
    yield Odd("photo.pgm", "PGM, 8 bits", encoded(grey, "PPM"))
    yield Odd(
        "deep.pgm", "PGM, 16 bits", encoded((grey.astype(np.uint16) * 257).astype("<u2"), "PPM")
    )
    yield Odd("plain.ppm", "PPM in plain text", _plain_ppm())
    yield Odd("photo.heic", "HEIC, the format of most phones, without the extra `heic`", HEIC_HEAD)
    yield Odd("photo.jp2", "JPEG 2000", encoded(photo(), "JPEG2000"))
    yield Odd("photo.dng", "raw data of a camera", encoded(photo(), "TIFF"))


def _pngs() -> Iterator[Odd]:
    text = b"Comment\0\0" + zlib.compress(bytes(3_000_000))
    profile = b"profile\0\0" + zlib.compress(np.random.default_rng(0).bytes(2_000_000))
    yield Odd("long_text.png", "PNG with a text that unpacks to 3 MB", png_with(b"zTXt", text))
    yield Odd(
        "long_profile.png",
        "PNG with a colour profile that unpacks to 2 MB",
        png_with(b"iCCP", profile),
    )
    yield Odd(
        "bomb.png",
        "PNG with a text that unpacks to 100 MB",
        png_with(b"zTXt", b"k\0\0" + zlib.compress(bytes(10**8))),
    )
    yield Odd("short_gama.png", "PNG with a cut gAMA chunk", png_with(b"gAMA", b"\0\1"))
    yield Odd("short_chrm.png", "PNG with a cut cHRM chunk", png_with(b"cHRM", bytes(7)))
    yield Odd(
        "flipped_gama.png",
        "PNG with a wrong checksum in gAMA",
        png_with(b"gAMA", bytes(4), crc_error=1),
    )
    yield Odd(
        "short_trns.png", "PNG with a cut tRNS chunk (transparency)", png_with(b"tRNS", b"\0")
    )
    yield Odd("long_chunk.png", "PNG whose chunk claims to end after the file", _long_chunk())


def _samples() -> Iterator[Odd]:
    grey = photo()[..., 0].astype(np.uint16)
    yield Odd("16_bit.png", "PNG of 16 bits", encoded(grey * 257, "PNG"))
    yield Odd("12_in_16.png", "PNG of 16 bits that uses 12 of them", encoded(grey * 16, "PNG"))
    stated = with_chunk(encoded(grey * 16 + (grey >> 4), "PNG"), b"sBIT", bytes([12]))
    yield Odd(
        "12_stated.png", "PNG of 16 bits that uses 12 of them and says so (sBIT), grey", stated
    )
    yield Odd("float.tif", "TIFF of floats, grey", tiff_of_floats(1))
    yield Odd("float_rgb.tif", "TIFF of floats, colour", tiff_of_floats(3))
    yield Odd("icon.png", "dark shape on transparency", _dark_icon())
    yield Odd("white_icon.png", "white shape on transparency", encoded(white_icon(), "PNG"))


def _by_name() -> Iterator[Odd]:
    jpeg = encoded(photo(), "JPEG")
    names = ("x.jpg?size=large", "x.jpg_large", "photo 2.0 (front)", "0a1b2c3d", "x.jpg!d")
    yield from (Odd(name, "JPEG with a name from the web or a store", jpeg) for name in names)
    yield Odd("page.png", "web page saved under an image's name", b"<!doctype html><html></html>")
    yield Odd(
        "x.php?id=7", "web page with a name that says nothing", b"<!doctype html><html></html>"
    )
    yield Odd("LICENSE", "a licence", b"Permission is hereby granted")
    yield Odd("labels.csv", "a table", b"a,b\n")
    yield Odd("photo.jpg.json", "what a photo service knew of an image", b"{}")
    yield Odd("._photo.jpg", "what macOS leaves in zips", bytes(64))


def _damaged() -> Iterator[Odd]:
    jpeg, png = encoded(photo(), "JPEG"), encoded(photo(), "PNG")
    yield Odd("cut.jpg", "JPEG that ends early", jpeg[: len(jpeg) // 2])
    yield Odd("cut.png", "PNG that ends early", png[: len(png) // 2])
    yield Odd("cut.ppm", "PPM that ends early", encoded(photo(), "PPM")[:-500])
    yield Odd(
        "grey_end.jpg",
        "JPEG that was cut off and saved again, half of it grey",
        cut_and_saved_again(),
    )
    yield Odd("empty.jpg", "no bytes", b"")


HEIC_HEAD: Final = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def _mpo() -> bytes:
    views = [Image.fromarray(photo(seed)) for seed in (0, 1)]
    return encoded(views[0], "MPO", save_all=True, append_images=views[1:])


def _moving() -> bytes:
    frames = [Image.fromarray(photo(seed)) for seed in range(3)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def _plain_ppm() -> bytes:
    numbers = " ".join(str(value) for value in photo().ravel())
    return f"P3\n# by hand\n{SIDE_PX} {SIDE_PX}\n255\n{numbers}\n".encode()


def _dark_icon() -> bytes:
    ring = np.asarray(white_icon()).copy()
    ring[..., :3] = photo() // 3
    return encoded(Image.fromarray(ring, "RGBA"), "PNG")


def _long_chunk() -> bytes:
    data = bytearray(png_with(b"gAMA", bytes(4)))
    data[PNG_HEAD : PNG_HEAD + 4] = (10**6).to_bytes(4, "big")
    return bytes(data)
