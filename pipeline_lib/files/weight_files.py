"""Read weight files that people name, without running any code in them."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file

from pipeline_lib.errors import BadData

ADVICE = ("weights_only", "Check the documentation")
WRAPPERS = (
    "module.",
    "_orig_mod.",
    "network.",
)  # DistributedDataParallel, torch.compile, Classifier


def read_weight_file(path: Path) -> dict[str, torch.Tensor]:
    """Read the state dict of a .safetensors or .pth file, without training wrappers and their prefixes.

    Raises BadData on anything that is not a state dict; torch refuses pickled code and never runs it.
    """
    try:
        safe = path.suffix == ".safetensors"
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # torch's warning about an old pickle, before it refuses it
            content = (
                load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
            )
    except (
        Exception
    ) as error:  # hostile bytes: torch lets errors of zip, struct and unpickling through
        remedy = "name a .safetensors file, or a .pth file with a state dict and nothing else"
        what = "not a weight file that can be read safely"
        raise BadData(what, file=path, value=_cause(error), remedy=remedy) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    found = content.items() if isinstance(content, dict) else ()
    tensors = {name: tensor for name, tensor in found if isinstance(tensor, torch.Tensor)}
    for prefix in WRAPPERS:
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _cause(error: Exception) -> str:
    """Return torch's message without its advice to load the file unsafely, which is in separate paragraphs."""
    paragraphs = [part.strip() for part in str(error).split("\n\n")]
    found = [part for part in paragraphs if part and not any(word in part for word in ADVICE)]
    text = (
        " ".join(found)
        or str(error).partition("WeightsUnpickler error:")[2].partition("Check the")[0]
    )
    return text.removeprefix("WeightsUnpickler error:").strip()[:200]
