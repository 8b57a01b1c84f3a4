"""Altered copies of a photograph, as they come about in collections; each is saved as a JPEG without metadata."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image, ImageEnhance, ImageOps

Photograph = Image.Image
USUAL = 90  # JPEG quality


def cropped(image: Photograph, *, share: float) -> Photograph:
    """The middle: `share` of the width and of the height are cut off, half of it at each side."""
    left = max(1, round(image.width * share / 2))
    top = max(1, round(image.height * share / 2))
    return image.crop((left, top, image.width - left, image.height - top))


def bordered(image: Photograph) -> Photograph:
    """With a white border of 8 % of the short side."""
    return ImageOps.expand(image, max(1, round(0.08 * min(image.size))), "white")


def halved(image: Photograph) -> Photograph:
    """Half the width and half the height."""
    size = (max(1, image.width // 2), max(1, image.height // 2))
    return image.resize(size, Image.Resampling.LANCZOS)


CHANGES: dict[str, tuple[Callable[[Photograph], Photograph], int]] = {  # change and JPEG quality
    "re-encoded": (lambda p: p, 40),
    "half size": (halved, USUAL),
    "mirrored": (ImageOps.mirror, USUAL),
    "crop of 5 %": (lambda p: cropped(p, share=0.05), USUAL),
    "crop of 10 %": (lambda p: cropped(p, share=0.10), USUAL),
    "white border": (bordered, USUAL),
    "brighter": (lambda p: ImageEnhance.Brightness(p).enhance(1.2), USUAL),
}


def changed(data: bytes, kind: str) -> bytes:
    """A copy of the image in `data`, by a name of CHANGES. Raises what Pillow raises for what it cannot read."""
    change, quality = CHANGES[kind]
    return as_jpeg(change(upright(data)), quality=quality)


def upright(data: bytes) -> Photograph:
    """The image as it is shown, in RGB; what is transparent lies on white."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if not image.has_transparency_data:
        return image.convert("RGB")
    page = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(page, image.convert("RGBA")).convert("RGB")


def as_jpeg(image: Photograph, *, quality: int = USUAL) -> bytes:
    """A baseline JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
