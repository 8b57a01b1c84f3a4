"""How a model sees an image: with the pixels that it was trained and evaluated on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import simplejpeg
from pydantic import ValidationError

from pipeline_lib.convert.jpeg_stream import encode_jpeg, same_without_metadata
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.errors import BadData
from pipeline_lib.networks.model_file import MODEL_FILE, ModelFile
from pipeline_lib.pixels import Decoded, PixelRules, centre_square, decode

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sight:
    """rules: how bytes become pixels HWC. view: those -> what the network looks at, HWC.

    stored: how `convert` stored the images that the model learnt from; None: as they were received.
    """

    rules: PixelRules
    view: Callable[[Pixels], Pixels]
    stored: ConvertParams | None = None

    def see(self, data: bytes) -> Pixels:
        """Return what the network looks at (HWC, uint8) of an image file's bytes. Raises Undecodable."""
        decoded = decode(data, self.rules)
        if self.stored is None:
            return self.view(decoded.pixels_HWC)
        return self.view(as_stored(data, decoded, rules=self.rules, params=self.stored))


def trained_sight(about: ModelFile) -> Sight:
    """Return how a trained model sees: as `evaluate` does, which looks at stored images. Raises BadData.

    What `convert.pixelate` made unrecognisable there is seen here: its detector does not come with the model.
    """
    try:
        kept = {key: about.pixels[key] for key in ConvertParams.model_fields if key in about.pixels}
        kept |= {"pixelate": None, "pixelate_sha256": None}
        return Sight(
            PixelRules.model_validate(about.pixels.get("pixel_rules", {})),
            partial(centre_square, side_px=about.side_px),
            ConvertParams.model_validate(kept),
        )
    except ValidationError as error:
        fault = error.errors()[0]
        value = f"pixels.{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
        remedy = "run `dvc repro evaluate` again, or `dvc checkout` to restore it"
        raise BadData(
            "no valid pixel rules of a model", file=MODEL_FILE, value=value, remedy=remedy
        ) from error


def as_stored(data: bytes, decoded: Decoded, *, rules: PixelRules, params: ConvertParams) -> Pixels:
    """Return the pixels that a loader reads from a beton of this image, as `convert.stored_form` chooses them.

    data: the bytes as received. An image that convert encodes as JPEG is encoded here too: what that loses decided in
    some cases between two classes.
    """
    received = decoded.width_px, decoded.height_px
    width, height = params.of(*received)
    if params.is_raw(width, height):
        return params.apply(decoded.pixels_HWC)
    is_upright = decoded.exif_orientation == 1 or rules.exif_orientation == "ignore"
    is_received = decoded.format == "jpeg" and is_upright and (width, height) == received
    # `decode` has found no damage, so nothing is left to be seen by decoding it once more.
    if is_received and same_without_metadata(data, width=width, height=height) is not None:
        return decoded.pixels_HWC
    stream = encode_jpeg(params.apply(decoded.pixels_HWC), quality=params.jpeg_quality)
    pixels_HWC: Pixels = simplejpeg.decode_jpeg(stream, colorspace="RGB", strict=True)
    return pixels_HWC
