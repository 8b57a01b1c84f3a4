"""What an exported file says of itself: classes, names, and how an image becomes its input. No torch.

The same keys, all text, stand in the metadata of model.onnx (`metadata_props`) and of model.safetensors (`__metadata__`).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.pixels import KeptSize, PixelRules

FORMAT = "perennial-model-1"
RESIZE = (
    "RGB; turned upright if exif_orientation is apply; kept_size, each step only where it is set: shape square_crop cuts the "
    "central square, short_side_px and long_side_px shrink (never enlarge) to the smaller of the two ratios with Pillow's "
    "BICUBIC, shape square_pad fills up to a square with grey 128; then the central square, with Pillow's BILINEAR "
    "first to side_px columns, then to side_px rows"
)


def description(about: ModelFile, *, version: str, md5: str) -> dict[str, str]:
    """Return the metadata: plain text, or JSON where a value is not text.

    version: name and number in the registry. md5: DVC's digest of the export folder it came from.
    """
    rules = PixelRules.model_validate(about.pixels.get("pixel_rules", {}))
    kept = KeptSize.model_validate(
        {key: about.pixels[key] for key in KeptSize.model_fields if key in about.pixels}
    )
    said: dict[str, object] = {
        "format": FORMAT,
        "model": version,
        "export_md5": md5,
        "network": about.network,
        "classes": about.classes,
        "names": about.names,
        "side_px": about.side_px,
        "mean": about.mean,
        "std": about.std,
        "temperature": about.temperature,
        "exif_orientation": rules.exif_orientation,
        "kept_size": kept.model_dump(),
        "resize": RESIZE,
    }
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in said.items()
    }


def onnx_with(data: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return a model file (ONNX) with this metadata and no other."""
    import onnx  # half a second

    model = onnx.load_from_string(data)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(metadata))
    return bytes(model.SerializeToString(deterministic=True))


def safetensors_with(data: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return a weight file with this metadata and no other; the tensors' bytes stay as they are.

    The format is a little-endian length of 8 bytes, a JSON header, padded by spaces to a multiple of 8, and the tensors
    (https://huggingface.co/docs/safetensors).
    """
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(metadata)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]
