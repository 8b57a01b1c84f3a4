"""Where in an image the evidence for a class lies: a map over the cells of a network's last spatial layer.

A cell's evidence is the sum over channels of activation times gradient of the class's lead, negative sums cut off: HiResCAM
(Draelos & Carin 2020, arXiv 2011.08891). For a convolutional network that ends in a mean and one linear layer this is
Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391), and the cells add up to the logit; the tokens of a transformer are its
cells. The lead is the class's logit over the mean of all: what raises all classes alike is evidence for none.

Maps of many layers look right and depend little on the weights, so a map is compared with those of the same network with
fresh weights (Adebayo et al. 2018, arXiv 1810.03292): `rank_correlation` near 0 means that it shows what was learnt.

B images (here 1), C channels, h x w cells, N tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Map = npt.NDArray[np.float32]
FRESH = 5  # networks with fresh weights that a map is compared with
SHOWN_LAYERS, SHOWN_CHANNELS = 3, 6
MOST_BEFORE = 8  # tokens that are no cells


@dataclass(frozen=True)
class FeatureMaps:
    """The channels of a layer that speak most for the class. maps_Chw: activations, each scaled to 0..1."""

    layer: str
    channels: tuple[int, ...]
    maps_Chw: Map


@dataclass(frozen=True)
class ClassMap:
    """layer: whose cells these are. evidence_hw: from 0, together 1; all 0 if nothing in the image speaks for the class."""

    layer: str
    evidence_hw: Map
    features: tuple[FeatureMaps, ...]


@dataclass(frozen=True)
class _Seen:
    """A layer's output as cells. raw: the tensor itself, which gradients are taken of."""

    layer: str
    raw: torch.Tensor
    cells: Callable[[torch.Tensor], torch.Tensor]  # -> Chw


def class_map(network: nn.Module, images_BCHW: torch.Tensor, label: int) -> ClassMap:
    """The evidence for output `label` in one image. network: in evaluation mode; images_BCHW: its own input, B = 1.

    Raises ValueError for a network none of whose layers has cells.
    """
    with torch.enable_grad(), _watched(network) as seen:
        logits_BK = network(images_BCHW.requires_grad_(True))
        if not seen:
            raise ValueError("no layer of this network has cells of an image")
        lead = logits_BK[0, label] - logits_BK[0].mean()
        gradients = torch.autograd.grad(lead, [one.raw for one in seen], allow_unused=True)
    maps = [
        (one.layer, one.cells(one.raw.detach()), one.cells(gradient))
        for one, gradient in zip(seen, gradients, strict=True)
        if gradient is not None
    ]
    # Cells that nothing depends on are beside the way to the head, such as patches after a class token was last updated.
    maps = [one for one in maps if one[2].abs().max() > 0] or maps
    layer, value_Chw, slope_Chw = maps[-1]
    evidence_hw = (value_Chw * slope_Chw).sum(dim=0).clamp(min=0).float()
    total = float(evidence_hw.sum())
    evidence = (evidence_hw / total if total else evidence_hw).numpy()
    return ClassMap(layer, evidence, tuple(_feature_maps(maps)))


def rank_correlation(
    network: Callable[[int], nn.Module], images_BCHW: torch.Tensor, label: int, learnt: Map
) -> float:
    """Mean rank correlation (Spearman) of a map with those of networks with fresh weights. network: seed -> such a one."""
    from scipy.stats import spearmanr

    found = []
    for seed in range(FRESH):
        fresh = network(seed).eval()
        _fill_zeros(fresh)
        evidence_hw = class_map(fresh, images_BCHW, label).evidence_hw
        is_flat = np.ptp(evidence_hw) == 0 or np.ptp(learnt) == 0
        found.append(
            0.0 if is_flat else float(spearmanr(evidence_hw.ravel(), learnt.ravel()).statistic)
        )
    return float(np.mean(found))


def _fill_zeros(network: nn.Module) -> None:
    """Heads and last layers of blocks that start at zero would show nothing: they get small weights too."""
    for weights in network.parameters():
        if weights.dim() > 1 and not weights.any():
            nn.init.trunc_normal_(weights, std=0.02)


def _feature_maps(maps: list[tuple[str, torch.Tensor, torch.Tensor]]) -> Iterator[FeatureMaps]:
    """Of the last layer of each size of cells, the finest first: the channels that speak most for the class."""
    last_of = {
        tuple(value_Chw.shape[1:]): (layer, value_Chw, slope_Chw)
        for layer, value_Chw, slope_Chw in maps
    }
    for layer, value_Chw, slope_Chw in list(last_of.values())[-SHOWN_LAYERS:]:
        strength_C = (value_Chw * slope_Chw).sum(dim=(1, 2))
        best = strength_C.argsort(descending=True, stable=True)[:SHOWN_CHANNELS]
        shown_Chw = value_Chw[best].float()
        low, high = (
            shown_Chw.amin(dim=(1, 2), keepdim=True),
            shown_Chw.amax(dim=(1, 2), keepdim=True),
        )
        yield FeatureMaps(
            layer, tuple(best.tolist()), ((shown_Chw - low) / (high - low).clamp(min=1e-12)).numpy()
        )


@contextmanager
def _watched(network: nn.Module) -> Iterator[list[_Seen]]:
    """Note the outputs that are maps of cells, in the order of computation."""
    seen: list[_Seen] = []

    def look(name: str, module: nn.Module) -> Callable[..., None]:
        def note(_: nn.Module, __: object, output: object) -> None:
            if isinstance(output, torch.Tensor) and output.requires_grad:
                cells = _cells_of(module, output)
                if cells is not None:
                    seen.append(_Seen(name, output, cells))

        return note

    hooks = [
        module.register_forward_hook(look(name, module))
        for name, module in network.named_modules()
        if name
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _cells_of(
    module: nn.Module, output: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """How this output becomes Chw; None where it is no map of more than one cell."""
    shape = tuple(output.shape)
    if len(shape) == 4:
        _, a, b, c = shape
        is_channels_last = a == b != c  # as in Swin; images are square
        if is_channels_last and a > 1:
            return lambda x_BhwC: x_BhwC[0].permute(2, 0, 1)
        return (lambda x_BChw: x_BChw[0]) if b * c > 1 and b == c else None
    # Tokens: after the last block but for the class token nothing reaches the head, so its first norm is where to look.
    if len(shape) == 3 and isinstance(module, nn.LayerNorm):
        side = math.isqrt(shape[1])
        n_before = shape[1] - side * side  # class and register tokens come first
        if side > 1 and n_before <= MOST_BEFORE:
            return lambda x_BNC: x_BNC[0, n_before:].T.reshape(x_BNC.shape[2], side, side)
    return None
