"""The names that timm gives the tensors of a built-in backbone: training starts from them in timm's network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

STEM: Final = (
    "_conv_stem.weight"  # a file with this tensor has the names of the package efficientnet-pytorch
)
BLOCKS_OF_STAGE: Final = (1, 2, 2, 3, 3, 4, 1)
STEM_AND_HEAD: Final = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
FIRST_BLOCK: Final = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
BLOCK: Final = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def timm_names(names: Iterable[str]) -> dict[str, str]:
    """Name in the file -> name in timm's tf_efficientnet_lite0; no change where the file has other names."""
    names = list(names)
    return (
        {name: _renamed(name) for name in names}
        if STEM in names
        else {name: name for name in names}
    )


def _renamed(name: str) -> str:
    parts = name.split(".")
    if parts[0] != "_blocks":
        return ".".join([STEM_AND_HEAD.get(parts[0], parts[0]), *parts[1:]])
    number, layer = int(parts[1]), parts[2]
    stage, within = [
        (stage, block) for stage, n in enumerate(BLOCKS_OF_STAGE) for block in range(n)
    ][number]
    layers = FIRST_BLOCK if number == 0 else BLOCK
    return ".".join([f"blocks.{stage}.{within}.{layers.get(layer, layer)}", *parts[3:]])
