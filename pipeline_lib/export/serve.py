"""Classify images with an exported model.onnx: python serve.py model.onnx IMAGE... Needs onnxruntime, Pillow, numpy.

This file stands alone: `perennial export` copies it beside the model, to be run or to begin with.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps
from PIL.Image import Resampling

BEST = 5


def as_seen(image: Image.Image, about: dict[str, str]) -> np.ndarray:
    """Return the pixels that the model looks at, [side, side, 3] uint8, as `resize` in its metadata says."""
    if about["exif_orientation"] == "apply":
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey: the high byte
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    image = image.convert("RGB")

    kept = json.loads(about["kept_size"])
    if kept["shape"] == "square_crop":
        image = centre(image)
    short = max(image.size) if kept["shape"] == "square_pad" else min(image.size)
    limits = ((kept["short_side_px"], short), (kept["long_side_px"], max(image.size)))
    ratios = [(limit, side) for limit, side in limits if limit and limit < side]
    if ratios:
        limit, side = min(ratios, key=lambda ratio: ratio[0] / ratio[1])
        width, height = (max(1, (2 * px * limit + side) // (2 * side)) for px in image.size)
        image = image.resize((width, height), Resampling.BICUBIC)
    if kept["shape"] == "square_pad":
        square = Image.new("RGB", (max(image.size),) * 2, (128, 128, 128))
        left, top = ((square.width - px) // 2 for px in image.size)
        square.paste(image, (left, top))
        image = square

    side = int(about["side_px"])
    image = centre(image)
    columns = image.resize((side, image.height), Resampling.BILINEAR)
    return np.asarray(columns.resize((side, side), Resampling.BILINEAR))


def centre(image: Image.Image) -> Image.Image:
    """Cut the largest centred square."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def main(model: str, files: list[str]) -> None:
    """Write the most probable classes of each file, a JSON object a line."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    names = json.loads(about["names"])
    for file in files:
        with Image.open(file) as image:
            pixels = as_seen(image, about)
        (probabilities,) = session.run(["probabilities"], {"images": pixels[None]})[0]
        best = np.argsort(-probabilities)[:BEST]
        found = {names[k]: float(probabilities[k]) for k in best}
        sys.stdout.write(json.dumps({"file": file, "p": found}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
