"""Which of the drawn images gets which fault, and the files that come of it.

The shares are chosen so that each kind can be counted and the collection stays what it is: 8 % wrong labels, 1 % copies
of each kind, half a percent of each kind of damage and of pages of text. Wrong labels are any other class with equal
chance: people confuse classes that look alike, which is harder to find. Nothing here knows how the line looks for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from demo.damage import html, truncated
from demo.photographs.copies import CHANGES, as_jpeg, changed, upright
from demo.photographs.source import OwnImage
from pipeline_lib.reasons import Reason, Remark
from pipeline_lib.sources.names import IMAGE_ENDINGS

Change = Callable[[bytes], bytes]
FLIPPED, COPIED, DAMAGED, STRANGE = 0.08, 0.01, 0.005, 0.005  # shares of the drawn images
WRONG_LABEL, PAGE, COPY, WRONG_ENDING = "wrong label", "page of text", "copy, ", "wrong ending"
START_OF_SCAN, SCAN_HEADER_BYTES, END_OF_IMAGE = b"\xff\xda", 14, b"\xff\xd9"  # ITU-T T.81, B.1
PAGES_PX = ((620, 877), (480, 640), (800, 600), (877, 620), (600, 600))
TEXT = (
    "invoice date total amount please find attached the minutes of our meeting last week delivery item number price "
    "quantity thank you for your order kind regards page section results figure table method we show that however"
)


@dataclass(frozen=True)
class File:
    """One file to be: what becomes of the bytes of the drawn image `of` (None: of no image).

    received: the class that it arrives in; truth: "" where it shows none of them. kind: "" without a fault. code: the
    reason or remark that the line should give. is_copy: the image itself is there too.
    """

    change: Change
    ending: str
    received: str
    truth: str
    split: str
    of: int | None
    kind: str = ""
    code: str = ""
    is_copy: bool = False


def as_received(data: bytes) -> bytes:
    """The bytes as they are."""
    return data


COPIES: dict[str, Change] = {
    "same bytes": as_received,
    **{kind: partial(changed, kind=kind) for kind in CHANGES},
}


def cut_off(data: bytes) -> bytes:
    """A JPEG with the first 60 % of its pixels' data."""
    return _cut(data, keep=0.6)


def grey_half(data: bytes) -> bytes:
    """Cut off in the middle, opened by a program that forgives, and saved again: below the cut it is grey."""
    return as_jpeg(upright(_cut(data, keep=0.5) + END_OF_IMAGE))


def sign_in_page(data: bytes) -> bytes:
    """What a download saves where an image was promised."""
    return html(len(data))


def no_bytes(data: bytes) -> bytes:
    """An empty file."""
    return data[:0]


DAMAGES: dict[str, tuple[Change, str]] = {  # the reason or remark that names it
    "cut off": (cut_off, Reason.DECODE_TRUNCATED),
    "empty file": (no_bytes, Reason.EMPTY),
    "HTML named .jpg": (sign_in_page, Reason.NOT_IMAGE),
    "lower half grey": (grey_half, Remark.ENDS_GREY),
    WRONG_ENDING: (as_received, Remark.EXT_MISMATCH),
}


def plan(
    images: Sequence[OwnImage], format_of: Callable[[int], str | None], rng: np.random.Generator
) -> list[File]:
    """Every file of the trial: the images, some of them with one fault each, altered copies, and pages of text.

    format_of: Pillow's name of the format of an image, by its place in `images`; None where Pillow cannot decode it,
    and then no fault is put upon it.
    """
    classes = sorted({image.class_id for image in images})
    splits = sorted({image.split for image in images})
    files = [
        File(as_received, _ending(one.name), one.class_id, one.class_id, one.split, at)
        for at, one in enumerate(images)
    ]
    order = (int(at) for at in rng.permutation(len(images)))
    sound = (at for at in order if format_of(at) is not None)

    # Wrong labels: the file stays as it is and lies in the folder of another class.
    for at in islice(sound, _share(FLIPPED, images)):
        others = [name for name in classes if name != images[at].class_id]
        files[at] = replace(files[at], received=str(rng.choice(others)), kind=WRONG_LABEL)

    # Copies lie beside the image; where the source publishes splits, in any of them.
    copies: list[File] = []
    for kind, change in COPIES.items():
        for at in islice(sound, _share(COPIED, images)):
            ending = files[at].ending if change is as_received else ".jpg"
            put = replace(files[at], change=change, ending=ending, split=str(rng.choice(splits)))
            copies.append(replace(put, kind=COPY + kind, is_copy=True))

    # Damage takes the place of the image.
    for kind, (change, code) in DAMAGES.items():
        for at in islice(sound, _share(DAMAGED, images)):
            is_wrong_png = kind == WRONG_ENDING and format_of(at) in ("JPEG", "MPO")
            ending = ".png" if is_wrong_png else ".jpg"
            truth = images[at].class_id if kind == WRONG_ENDING else ""
            put = replace(files[at], change=change, ending=ending, truth=truth)
            files[at] = replace(put, kind=kind, code=str(code))

    # Pages show none of the classes.
    pages = []
    for at in rng.integers(len(images), size=_share(STRANGE, images)).tolist():
        change = partial(page_of_text, seed=int(rng.integers(2**31)))
        beside = images[at]
        pages.append(File(change, ".jpg", beside.class_id, "", beside.split, None, PAGE))
    return [*files, *copies, *pages]


def page_of_text(_: bytes, *, seed: int) -> bytes:
    """A printed page as a scanner sees it: paper of some shade, a headline, lines of words."""
    rng, words = np.random.default_rng(seed), TEXT.split()
    width, height = PAGES_PX[int(rng.integers(len(PAGES_PX)))]
    paper = tuple(int(level) for level in rng.integers(215, 256, 3))
    page = Image.new("RGB", (width, height), paper)
    pen = ImageDraw.Draw(page)
    size_px = int(rng.integers(12, 26))
    margin = int(rng.integers(20, width // 5))
    title = " ".join(rng.choice(words, 3)).title()
    pen.text((margin, margin), title, fill="black", font=ImageFont.load_default(2 * size_px))
    font = ImageFont.load_default(size_px)
    for top in range(margin + 3 * size_px, height - margin, round(1.5 * size_px)):
        n_words = int(rng.integers(2, max(3, (width - 2 * margin) // (4 * size_px))))
        pen.text((margin, top), " ".join(rng.choice(words, n_words)), fill="#222222", font=font)
    return as_jpeg(page)


def _cut(data: bytes, *, keep: float) -> bytes:
    """The image as a JPEG that ends within its scan, however little data that has."""
    jpeg = as_jpeg(upright(data))
    scan = jpeg.index(START_OF_SCAN) + SCAN_HEADER_BYTES
    return jpeg[:scan] + truncated(jpeg[scan:], keep=keep)


def _share(share: float, images: Sequence[OwnImage]) -> int:
    """That share of the images, one at least."""
    return max(1, round(share * len(images)))


def _ending(name: str) -> str:
    """The ending of an image's name; "" for one that says nothing, as `x.jpg?size=large`."""
    found = re.fullmatch(r".*\.(\w+)", name.rpartition("/")[2])
    return f".{found[1]}" if found and found[1].lower() in IMAGE_ENDINGS else ""
