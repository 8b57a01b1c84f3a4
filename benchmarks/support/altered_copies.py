"""Copies of a photograph as people make them: saved again, cropped, turned, captioned, photographed off a screen.

Each change draws its details (which corner, which fill, which text, a light or a dark screen) from a generator that it
is given. Nothing here is known to the code that finds copies.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Final

from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

Photograph = Image.Image
Change = Callable[[Photograph, random.Random], Photograph]
WORDS: Final = (
    "sale today only new arrivals summer look size available free shipping worn once original price see my other "
    "offers follow like share reply photo by studio north vintage classic brand"
)
SCREENS: Final = (
    ("#ffffff", "#202124", "#5f6368"),  # ground, text, faint text
    ("#000000", "#ffffff", "#9aa0a6"),
    ("#f2f2f7", "#1c1c1e", "#8e8e93"),
    ("#121212", "#e8eaed", "#80868b"),
)


def cropped(image: Photograph, share: float) -> Photograph:
    """Without this share of each side, half of it at either edge."""
    left, top = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((left, top, image.width - left, image.height - top))


def _corner_crop(image: Photograph, rng: random.Random) -> Photograph:
    """Without a tenth of the width and of the height, at one corner."""
    across, down = round(image.width * 0.1), round(image.height * 0.1)
    left, top = rng.choice((0, across)), rng.choice((0, down))
    return image.crop((left, top, left + image.width - across, top + image.height - down))


def _turned_by_3_degrees(image: Photograph, rng: random.Random) -> Photograph:
    """Three degrees either way, the corners filled, or the canvas enlarged, as drawing programs do."""
    angle = rng.choice((-3, 3))
    fill = rng.choice(("white", "black"))
    expand = rng.random() < 0.5
    return image.rotate(angle, Image.Resampling.BICUBIC, expand=expand, fillcolor=fill)


def _caption_over(image: Photograph, rng: random.Random) -> Photograph:
    """A band with text over the lower part, a tenth to a fifth of the height, opaque or translucent."""
    height = round(image.height * rng.uniform(0.1, 0.2))
    ground, text, _ = rng.choice(SCREENS)
    band = Image.new("RGB", (image.width, height), ground)
    _write(band, rng, text)
    if rng.random() < 0.4:
        under = image.crop((0, image.height - height, image.width, image.height))
        band = Image.blend(under, band, 0.7)
    copy = image.copy()
    copy.paste(band, (0, image.height - height))
    return copy


def _caption_below(image: Photograph, rng: random.Random) -> Photograph:
    """The canvas made a tenth to a fourth higher, with text in what was added."""
    height = round(image.height * rng.uniform(0.1, 0.25))
    ground, text, _ = rng.choice(SCREENS)
    band = Image.new("RGB", (image.width, height), ground)
    _write(band, rng, text)
    canvas = Image.new("RGB", (image.width, image.height + height))
    canvas.paste(image, (0, 0))
    canvas.paste(band, (0, image.height))
    return canvas


def _screenshot(image: Photograph, rng: random.Random) -> Photograph:
    """A telephone's screen, 540 px wide: status line, an app's bar, the photograph, buttons, and a comment or two."""
    ground, text, faint = rng.choice(SCREENS)
    margin = rng.choice((0, 0, 12, 20))
    shown = _of_width(image, 540 - 2 * margin)
    bar = rng.randint(50, 110)
    screen = Image.new("RGB", (540, max(960, 24 + bar + shown.height + 120)), ground)
    pen = ImageDraw.Draw(screen)
    pen.text((14, 5), f"{rng.randint(7, 22)}:{rng.randint(10, 59)}", text, _font(15))
    pen.rectangle((492, 8, 514, 17), outline=text)
    pen.rectangle((494, 10, 494 + rng.randint(4, 18), 15), fill=text)
    pen.ellipse((14, 24 + bar // 2 - 16, 46, 24 + bar // 2 + 16), fill=faint)
    pen.text((58, 24 + bar // 2 - 10), _words(rng, 2), text, _font(17))
    screen.paste(shown, (margin, 24 + bar))
    below = 24 + bar + shown.height + 14
    for at in range(3):
        pen.ellipse((16 + 46 * at, below, 42 + 46 * at, below + 26), outline=text, width=2)
    for at in range(2):
        pen.text((16, below + 40 + 26 * at), _words(rng, rng.randint(3, 6)), text, _font(15))
    return screen


def _viewer_bars(image: Photograph, rng: random.Random) -> Photograph:
    """A viewer's window: a title line, a tool bar or none, and the photograph in its middle on plain ground."""
    ground, text, faint = rng.choice(SCREENS)
    title, tools = rng.randint(22, 34), rng.choice((0, 40))
    shown = ImageOps.contain(image, (700, 460), Image.Resampling.LANCZOS)
    side = rng.randint(0, 70) + (0 if shown.width > shown.height else rng.randint(20, 80))
    window = Image.new("RGB", (shown.width + 2 * side, title + shown.height + tools), ground)
    pen = ImageDraw.Draw(window)
    pen.rectangle((0, 0, window.width, title - 1), fill=faint)
    pen.text((10, 4), f"{_words(rng, 1)}_{rng.randint(100, 9999)}.jpg", text, _font(14))
    for at in range(3):
        pen.rectangle(
            (window.width - 24 - 26 * at, 8, window.width - 14 - 26 * at, 18), outline=text
        )
    window.paste(shown, (side, title))
    for at in range(5 if tools else 0):
        left = window.width // 2 - 100 + 44 * at
        pen.ellipse(
            (left, title + shown.height + 9, left + 22, title + shown.height + 31), outline=text
        )
    return window


def _of_width(image: Photograph, width: int) -> Photograph:
    height = round(image.height * width / image.width)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _write(band: Photograph, rng: random.Random, colour: str) -> None:
    """Text in the left of a band, one line or two."""
    pen = ImageDraw.Draw(band)
    n_lines = 1 if band.height < 40 else rng.choice((1, 2))
    size = max(9, round(band.height / (n_lines + 1)))
    left = rng.randint(4, max(5, band.width // 5))
    for line in range(n_lines):
        top = round(band.height * (line + 0.5) / n_lines - size * 0.6)
        pen.text((left, top), _words(rng, rng.randint(2, 5)), colour, _font(size))


def _words(rng: random.Random, n: int) -> str:
    return " ".join(rng.choice(WORDS.split()) for _ in range(n))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


CHANGES: Final[dict[str, tuple[Change, int]]] = {  # change and JPEG quality
    "crop of 5 %": (lambda p, _: cropped(p, 0.05), 90),
    "crop of 10 %": (lambda p, _: cropped(p, 0.10), 90),
    "white border of 8 %": (
        lambda p, _: ImageOps.expand(p, round(0.08 * min(p.size)), "white"),
        90,
    ),
    "mirrored": (lambda p, _: ImageOps.mirror(p), 90),
    "turned by 90 degrees": (lambda p, _: p.transpose(Image.Transpose.ROTATE_90), 90),
    "half the size": (lambda p, _: _of_width(p, p.width // 2), 90),
    "JPEG quality 40": (lambda p, _: p, 40),
    "brighter by 20 %": (lambda p, _: ImageEnhance.Brightness(p).enhance(1.2), 90),
    "corner crop of 10 %": (_corner_crop, 90),
    "turned by 3 degrees": (_turned_by_3_degrees, 90),
    "caption over the image": (_caption_over, 90),
    "caption below the image": (_caption_below, 90),
    "screenshot": (_screenshot, 90),
    "viewer bars": (_viewer_bars, 90),
}


def altered(photograph: bytes, kind: str, *, seed: str) -> bytes:
    """An encoded photograph changed in one way and saved as JPEG; the same bytes for the same seed."""
    change, quality = CHANGES[kind]
    file = io.BytesIO()
    changed = change(Image.open(io.BytesIO(photograph)).convert("RGB"), random.Random(seed))
    changed.save(file, "JPEG", quality=quality)
    return file.getvalue()
