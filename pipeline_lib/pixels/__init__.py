"""The decode policy: from the bytes of an image to canonical RGB pixels, or a reason for refusing it.

Used by inspect, convert, predict and the report, so that all of them see the same pixels.
"""

from pipeline_lib.pixels.decode import decode
from pipeline_lib.pixels.kept_size import KeptSize
from pipeline_lib.pixels.resize import centre_square, resize, shrink_to, view
from pipeline_lib.pixels.rules import Decoded, PixelRules, Undecodable
from pipeline_lib.shards.sniff import sniff

__all__ = [
    "Decoded",
    "KeptSize",
    "PixelRules",
    "Undecodable",
    "centre_square",
    "decode",
    "resize",
    "shrink_to",
    "sniff",
    "view",
]
