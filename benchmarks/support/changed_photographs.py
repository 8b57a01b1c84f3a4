"""Photographs damaged, spoilt in taking, and saved again without harm; and pages shown where there is no photograph."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from benchmarks.robustness.damage import DAMAGES
from demo.damage import html, spliced, truncated
from pipeline_lib.reasons import Reason, Remark

Change = Callable[[bytes, bytes, random.Random], bytes]  # a photograph, another one, draws


@dataclass(frozen=True)
class Kind:
    """One way to damage or to save again. expected: the reason or remark it should get; None: not a word."""

    change: Change
    expected: Reason | Remark | None
    ending: str = ".jpg"


def as_image(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _saved(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _grey_below(data: bytes, *, keep: float) -> bytes:
    """Cut off, opened by a program that forgives, and saved again: a sound file with a part of a photograph."""
    return _saved(as_image(truncated(data, keep=keep) + b"\xff\xd9"), quality=90)


def _on_white(data: bytes, *, share: float) -> bytes:
    """As shops show a product: on a white page of the photograph's size, at this share of its width and height."""
    image = as_image(data)
    page = Image.new("RGB", image.size, "white")
    product = image.resize(
        (round(image.width * share), round(image.height * share)),
        Image.Resampling.LANCZOS,
    )
    page.paste(product, ((page.width - product.width) // 2, (page.height - product.height) // 2))
    return _saved(page, quality=90)


def _brighter(data: bytes, *, gain: float, gamma: float = 1.0) -> bytes:
    """Levels times the gain, cut off at white. gamma 2.2: of the light instead, which levels are the root of."""
    light = (np.asarray(as_image(data)) / 255) ** gamma
    levels = 255 * np.clip(light * gain, 0, 1) ** (1 / gamma)
    return _saved(Image.fromarray(levels.round().astype(np.uint8)), quality=90)


def _paler(data: bytes, *, gamma: float) -> bytes:
    levels = 255 * (np.asarray(as_image(data)) / 255) ** gamma
    return _saved(Image.fromarray(levels.round().astype(np.uint8)), quality=90)


def _moved(data: bytes, *, length_px: int, angle: float) -> bytes:
    """As with a camera that moves while it takes the photograph. length_px: of a photograph of 400 px."""
    pixels = np.asarray(as_image(data))
    side = round(length_px * max(pixels.shape) / 400) | 1
    # A line drawn eight times as fine and reduced: its ends and steps are soft.
    fine = np.zeros((8 * side, 8 * side), np.float32)
    reach = (4 * side - 4) * np.array([np.cos(angle), np.sin(angle)])
    first, last = ((4 * side + sign * reach).astype(int).tolist() for sign in (-1, 1))
    cv2.line(fine, first, last, 1.0, thickness=8)
    path = cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA)
    moved = cv2.filter2D(pixels, -1, path / path.sum(), borderType=cv2.BORDER_REFLECT)
    return _saved(Image.fromarray(moved), quality=90)


def _unfocused(data: bytes, *, radius_px: float) -> bytes:
    image = as_image(data)
    radius = radius_px * max(image.size) / 400
    return _saved(image.filter(ImageFilter.GaussianBlur(radius)), quality=90)


def _page(rng: random.Random) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty page as shops show it where there is no photograph: its size, its grey."""
    page = Image.new(
        "RGB",
        rng.choice([(300, 300), (400, 300), (640, 480)]),
        rng.choice(["white", "#eeeeee", "#cccccc"]),
    )
    return page, ImageDraw.Draw(page)


def _no_photograph(rng: random.Random) -> bytes:
    page, pen = _page(rng)
    font = ImageFont.load_default(rng.choice([20, 30, 40]))
    text = rng.choice(["no photo available", "NO IMAGE", "image not found"])
    pen.text(
        (page.width / 2, page.height / 2),
        text,
        fill=rng.choice(["black", "#787878", "#a00000"]),
        font=font,
        anchor="mm",
    )
    return _saved(page, quality=90)


def _camera(rng: random.Random) -> bytes:
    page, pen = _page(rng)
    ink, paper = rng.choice(["#b0b0b0", "#787878", "#5a6e82"]), page.getpixel((0, 0))
    x, y, half = page.width / 2, page.height / 2, rng.uniform(0.15, 0.3) * min(page.size)
    pen.rounded_rectangle((x - half, y - 0.7 * half, x + half, y + 0.7 * half), 10, fill=ink)
    for radius, colour in ((0.4, paper), (0.25, ink)):
        pen.ellipse(
            (x - radius * half, y - radius * half, x + radius * half, y + radius * half),
            fill=colour,
        )
    return _saved(page, quality=90)


def _turned(data: bytes) -> bytes:
    """Stored on its side, with the EXIF orientation that sets it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(as_image(data).transpose(Image.Transpose.ROTATE_90), quality=90, exif=exif)


def _png_of_16_bits(data: bytes) -> bytes:
    samples = np.asarray(as_image(data)).astype(np.uint16) * 257
    return cv2.imencode(".png", samples[..., ::-1])[1].tobytes()


DAMAGED: dict[str, Kind] = {
    "cut off": Kind(
        lambda data, other, rng: truncated(data, keep=rng.uniform(0.1, 0.95)),
        Reason.DECODE_TRUNCATED,
    ),
    "a 4 KB page of zeros": Kind(DAMAGES["a 4 KB page of zeros"], Reason.DECODE_CORRUPT),
    "a 512 B sector of zeros": Kind(DAMAGES["a 512 B sector of zeros"], Reason.DECODE_CORRUPT),
    "last 30 % zeros": Kind(DAMAGES["last 30 % zeros"], Reason.DECODE_TRUNCATED),
    "8 random bytes": Kind(DAMAGES["8 random bytes"], Reason.DECODE_CORRUPT),
    "halves of two files": Kind(
        lambda data, other, rng: spliced(data, other), Reason.DECODE_CORRUPT
    ),
    "cut in half, saved again": Kind(
        lambda data, other, rng: _grey_below(data, keep=0.5), Remark.ENDS_GREY
    ),
    "cut off anywhere, saved again": Kind(
        lambda data, other, rng: _grey_below(data, keep=rng.uniform(0.1, 0.95)),
        Remark.ENDS_GREY,
    ),
    "HTML named .jpg": Kind(lambda data, other, rng: html(rng.randrange(1000)), Reason.NOT_IMAGE),
    "empty file": Kind(lambda data, other, rng: b"", Reason.EMPTY),
}
SPOILT: dict[str, Kind] = {
    "overexposed, gain 2 to 3": Kind(
        lambda data, other, rng: _brighter(data, gain=rng.uniform(2, 3)), Remark.LIGHT
    ),
    "overexposed, light times 3 to 6": Kind(
        lambda data, other, rng: _brighter(data, gain=rng.uniform(3, 6), gamma=2.2), Remark.LIGHT
    ),
    "overexposed, gamma .25 to .4": Kind(
        lambda data, other, rng: _paler(data, gamma=rng.uniform(0.25, 0.4)), Remark.LIGHT
    ),
    "moved by 9 to 21 px": Kind(
        lambda data, other, rng: _moved(
            data, length_px=rng.randint(9, 21), angle=rng.uniform(0, np.pi)
        ),
        Remark.BLURRED,
    ),
    "out of focus, 2 to 4 px": Kind(
        lambda data, other, rng: _unfocused(data, radius_px=rng.uniform(2, 4)), Remark.BLURRED
    ),
}
SOUND: dict[str, Kind] = {
    "progressive JPEG": Kind(
        lambda data, other, rng: _saved(as_image(data), quality=90, progressive=True), None
    ),
    "CMYK JPEG": Kind(
        lambda data, other, rng: _saved(as_image(data).convert("CMYK"), quality=90), None
    ),
    "turned by EXIF": Kind(lambda data, other, rng: _turned(data), Remark.EXIF_ROTATED),
    "PNG named .jpg": Kind(
        lambda data, other, rng: _saved(as_image(data), "PNG"), Remark.EXT_MISMATCH
    ),
    "on a white page, at 70 %": Kind(lambda data, other, rng: _on_white(data, share=0.7), None),
    "on a white page, at 40 %": Kind(lambda data, other, rng: _on_white(data, share=0.4), None),
    "on a white page, at 30 %": Kind(lambda data, other, rng: _on_white(data, share=0.3), None),
    "PNG of 16 bits": Kind(lambda data, other, rng: _png_of_16_bits(data), None, ".png"),
}
PLACEHOLDERS: dict[str, Kind] = {
    "placeholders with a line of text": Kind(
        lambda data, other, rng: _no_photograph(rng), Remark.LOW_INFORMATION
    ),
    "placeholders with a drawn camera": Kind(
        lambda data, other, rng: _camera(rng), Remark.LOW_INFORMATION
    ),
}
