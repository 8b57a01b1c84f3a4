"""What is hidden in the archive: which digits get which fault, and how many of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from demo import damage, images
from demo.annotators import LOOKALIKE, wrong_label
from demo.images import Digits, Grey

FLIPS_OF_A_KIND = 33
COPIES = {
    "duplicate_bytes": 24,
    "duplicate_pixels": 24,
    "duplicate_near": 30,
    "duplicate_conflict": 10,
}
ODD_IMAGES: tuple[tuple[str, int, str, str, Callable[[Grey], bytes]], ...] = (
    # kind, how many, ending of the name, remark expected, writer
    ("png_named_jpg", 4, ".jpg", "ext_mismatch", images.png),
    ("exif_rotated", 4, ".jpg", "exif_rotated", images.rotated_jpeg),
    ("gps", 4, ".jpg", "has_gps", images.located_jpeg),
    ("png_16bit", 1, ".png", "", images.png_16bit),
    ("cmyk", 1, ".jpg", "", images.cmyk_jpeg),
    ("palette", 1, ".png", "", images.palette_png),
    ("animated_gif", 1, ".gif", "several_frames", images.animated_gif),
)
DAMAGED_OF_A_KIND = 3
MOSAIC_TILES = 10  # 320 px: some 40 kB, room for a lost page
OTHER_TILES = 12  # halves of equally large images can make a sound JPEG (5 of 117 did), which no decoder tells


@dataclass(frozen=True)
class Item:
    """One file to be: its bytes, the class folder it arrives in, the true class ("" when it shows nothing).

    of: index, among the items, of the one it copies. name: a fixed name in place of a number.
    """

    data: bytes
    folder: str
    truth: str = ""
    ending: str = ".jpg"
    kind: str = ""
    code: str = ""
    of: int | None = None
    name: str = ""


def plan(digits: Digits, rng: np.random.Generator) -> list[Item]:
    """All files of the archive, not yet in its order: every digit once, then copies, damaged and foreign files."""
    order = [int(n) for n in rng.permutation(len(digits.labels))]
    items = list(_odd(digits, order))
    items += _flipped(digits, order[len(items) :], rng)
    first_plain = len(items)
    items += [_plain(digits, n) for n in order[first_plain:]]
    items += list(_copies(items, first_plain, rng))
    return items + list(_damaged(digits, rng)) + list(_foreign())


def _plain(digits: Digits, n: int) -> Item:
    """A digit as it should be: JPEG, every third in colour, every seventh a PNG."""
    label = digits.labels[n]
    if n % 7 == 0:
        return Item(images.png(digits.images[n]), label, label, ending=".png")
    return Item(images.jpeg(digits.images[n], colour=n % 3 == 0), label, label)


def _odd(digits: Digits, order: list[int]) -> Iterator[Item]:
    position = iter(order)
    for kind, count, ending, remark, write in ODD_IMAGES:
        for _ in range(count):
            n = next(position)
            yield Item(
                write(digits.images[n]), digits.labels[n], digits.labels[n], ending, kind, remark
            )


def _flipped(digits: Digits, order: list[int], rng: np.random.Generator) -> list[Item]:
    """Digits in the wrong folder: any wrong class, or the one that people confuse it with."""
    items = [_plain(digits, n) for n in order[: 2 * FLIPS_OF_A_KIND]]
    anywhere, lookalike = items[:FLIPS_OF_A_KIND], items[FLIPS_OF_A_KIND:]
    return [
        replace(item, folder=wrong_label(item.truth, rng), kind="flip_uniform") for item in anywhere
    ] + [replace(item, folder=LOOKALIKE[item.truth], kind="flip_pair") for item in lookalike]


def _copies(items: list[Item], first_plain: int, rng: np.random.Generator) -> Iterator[Item]:
    """Copies of plain JPEGs. Splits hash each group, so hashed alone about half the pairs would straddle them."""
    sources = iter([n for n in range(first_plain, len(items)) if items[n].ending == ".jpg"])
    for kind, count in COPIES.items():
        for serial in range(count):
            of = next(sources)
            yield replace(_copy(items[of], kind, serial, rng), kind=kind, of=of)


def _copy(item: Item, kind: str, serial: int, rng: np.random.Generator) -> Item:
    if kind == "duplicate_conflict":
        return replace(item, folder=LOOKALIKE[item.truth])
    if kind == "duplicate_pixels" and serial % 2:
        return replace(item, data=images.png(images.pixels_of(item.data)), ending=".png")
    if kind == "duplicate_pixels":
        return replace(item, data=images.commented_jpeg(item.data, f"copy {serial}"))
    if kind == "duplicate_near":
        brighter = images.pixels_of(item.data).astype(np.int16) + int(rng.choice([-2, -1, 1, 2]))
        pixels = brighter.clip(0, 255).astype(np.uint8)
        return replace(item, data=images.jpeg(pixels, quality=int(rng.integers(80, 91))))
    return item


def _damaged(digits: Digits, rng: np.random.Generator) -> Iterator[Item]:
    """Files that hold no usable image, in the folder of some class."""
    for n in range(DAMAGED_OF_A_KIND):
        folder = str(3 * n)
        first, second, other = (
            _mosaic(digits, rng, tiles=k) for k in (MOSAIC_TILES, MOSAIC_TILES, OTHER_TILES)
        )
        truncated = damage.truncated(first, keep=0.4 + 0.2 * n)
        yield Item(truncated, folder, kind="truncated", code="decode_truncated")
        yield Item(
            damage.zeroed_page(second, page=1 + n),
            folder,
            kind="zeroed_page",
            code="decode_corrupt",
        )
        yield Item(damage.spliced(first, other), folder, kind="spliced", code="decode_corrupt")
        yield Item(damage.html(n), folder, kind="html", code="not_image")
    small = images.jpeg(digits.images[0])
    for data in (b"", b"", bytes(700)):
        yield Item(data, "2", kind="empty", code="empty")
    for data, ending in (
        (damage.png_bomb(9000), ".png"),
        (damage.png_bomb(10_000), ".png"),
        (damage.jpeg_bomb(small, side_px=65_000), ".jpg"),
    ):
        yield Item(data, "4", ending=ending, kind="bomb", code="too_many_pixels")


def _mosaic(digits: Digits, rng: np.random.Generator, *, tiles: int) -> bytes:
    chosen = digits.images[rng.integers(0, len(digits.images), tiles**2)]
    return images.jpeg(images.mosaic(chosen, tiles=tiles))


def _foreign() -> Iterator[Item]:
    yield Item(
        b"\0\0\0\1Bud1", "5", kind="system_file", code="ignored_system_file", name="5/.DS_Store"
    )
    yield Item(
        b"Handwritten digits\n", "", kind="text_file", code="not_a_picture_name", name="readme.txt"
    )
