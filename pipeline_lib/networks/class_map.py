"""Where in an image the evidence for a class lies: a map over the cells of a network's last layer that still has places.

A cell's evidence is the sum over channels of activation times gradient of the class's lead, negative sums cut off: HiResCAM
(Draelos & Carin 2020, arXiv 2011.08891). For a convolutional network that ends in a mean and one linear layer this is
Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391), and the cells add up to the logit; the tokens of a transformer are its
cells. The lead is the class's logit over the mean of all: what raises all classes alike is evidence for none.

Where to look, by family: a convolutional network at its last map. A ViT at what enters each of its norms, the stream that
all blocks add to, as far as the head hears of it: attention may carry what a cell says to other cells in any block, so
that a cell counts by the sum of what it adds at these depths. Swin (Liu et al. 2021, arXiv 2103.14030) at
what enters the first block whose window covers the whole map: from there on every cell hears of every other, and in the
last norm all cells give the same answer wherever its cause lies. Its values have no natural zero, so that a cell counts
by what it has beyond the mean of all cells: what all share says nothing of a place. benchmarks/explain/marks.py measures this.

Maps of many layers look right and depend little on the weights, so a map is compared with those of the same network with
fresh weights (Adebayo et al. 2018, arXiv 1810.03292): `rank_correlations` near 0 means that it shows what was learnt.

B images (here 1), C channels, h x w cells, N tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Map = npt.NDArray[np.float32]
Cells = Callable[[torch.Tensor], torch.Tensor]  # -> Chw
FRESH = 5  # networks with fresh weights that a map is compared with
FIRST_SEED = 1_000_003  # of their weights: no trained network began with the same ones
SHOWN_LAYERS, SHOWN_CHANNELS = 3, 6
MOST_BEFORE = 8  # tokens that are no cells


class NoCells(ValueError):
    """A network whose layers know of no places in an image."""


class NoSuchLayer(ValueError):
    """A name that is not that of a layer with cells. known: those that are."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(name)
        self.known = known


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
    """A layer's output (of tokens: what enters it) as cells. raw: the tensor itself, which gradients are taken of."""

    layer: str
    raw: torch.Tensor
    cells: Cells


@dataclass
class _Watched:
    """seen: the maps, in the order of computation. tokens: layers of a ViT, of which what enters them was noted.

    before_mixing: the last layer before windows cover the whole map.
    """

    seen: list[_Seen] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    before_mixing: str = ""


@dataclass(frozen=True)
class _Read:
    """The cells of a layer, and the gradient of the lead with respect to them."""

    layer: str
    value_Chw: torch.Tensor
    slope_Chw: torch.Tensor

    def contribution_hw(self, beyond_mean: bool) -> torch.Tensor:
        """What each cell adds to the lead, to first order; beyond_mean: by what it has beyond the mean of all cells."""
        value_Chw = self.value_Chw
        if beyond_mean:
            value_Chw = value_Chw - value_Chw.mean(dim=(1, 2), keepdim=True)
        return (value_Chw * self.slope_Chw).sum(dim=0)


def class_map(
    network: nn.Module, images_BCHW: torch.Tensor, label: int, *, layers: Sequence[str] = ()
) -> ClassMap:
    """The evidence for output `label` in one image. network: in evaluation mode; images_BCHW: its own input, B = 1.

    layers: whose feature maps are wanted; none: the last of each size of cells. Raises NoCells for a network none of
    whose layers has cells, NoSuchLayer.
    """
    with torch.enable_grad(), _watched(network) as watched:
        logits_BK = network(images_BCHW.requires_grad_(True))
        if not watched.seen:
            raise NoCells("no layer with cells of an image")
        lead = logits_BK[0, label] - logits_BK[0].mean()
        gradients = torch.autograd.grad(lead, [one.raw for one in watched.seen], allow_unused=True)
    every = [
        _Read(one.layer, one.cells(one.raw.detach()), one.cells(gradient))
        for one, gradient in zip(watched.seen, gradients, strict=True)
        if gradient is not None
    ]
    # Cells that nothing depends on are beside the way to the head, such as patches after a class token was last updated.
    maps = [one for one in every if one.slope_Chw.abs().max() > 0] or every
    if watched.before_mixing:
        maps = maps[: 1 + [one.layer for one in maps].index(watched.before_mixing)]
    last = maps[-1]
    is_stream = last.layer in watched.tokens
    depths = [one for one in maps if one.layer in watched.tokens] if is_stream else [last]
    signed_hw = torch.stack(
        [one.contribution_hw(bool(watched.before_mixing)) for one in depths]
    ).sum(dim=0)
    evidence_hw = signed_hw.clamp(min=0).float()
    total = float(evidence_hw.sum())
    evidence = (evidence_hw / total if total else evidence_hw).numpy()
    chosen = _named(layers, every) if layers else _last_of_each_size(maps)
    return ClassMap(last.layer, evidence, tuple(map(_feature_maps, chosen)))


@dataclass(frozen=True)
class Shown:
    """A map that is compared with those of fresh weights, and what it was made of: see `class_map`."""

    images_BCHW: torch.Tensor
    label: int
    evidence_hw: Map


def rank_correlations(fresh: Callable[[], nn.Module], shown: Sequence[Shown]) -> list[float]:
    """The mean rank correlation (Spearman) of each map with those of FRESH networks with fresh weights.

    fresh: makes a network from torch's random state, which stays as it is.
    """
    found = np.zeros((FRESH, len(shown)))
    for seed in range(FRESH):  # one network at a time is held
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(FIRST_SEED + seed)
            network = fresh().eval()
            _fill_zeros(network)
        for at, one in enumerate(shown):
            evidence_hw = class_map(network, one.images_BCHW, one.label).evidence_hw
            found[seed, at] = _rank_correlation(evidence_hw, one.evidence_hw)
    return [float(mean) for mean in found.mean(axis=0)]


def _rank_correlation(one_hw: Map, other_hw: Map) -> float:
    """Spearman's; 0 where all cells of a map are equal."""
    from scipy.stats import spearmanr

    is_flat = np.ptp(one_hw) == 0 or np.ptp(other_hw) == 0
    return 0.0 if is_flat else float(spearmanr(one_hw.ravel(), other_hw.ravel()).statistic)


def _fill_zeros(network: nn.Module) -> None:
    """Heads and last layers of blocks that start at zero would show nothing: they get small weights too."""
    for weights in network.parameters():
        if weights.dim() > 1 and not weights.any():
            nn.init.trunc_normal_(weights, std=0.02)


def _named(layers: Sequence[str], maps: Sequence[_Read]) -> list[_Read]:
    """The maps of these layers, as they are called for. Raises NoSuchLayer."""
    of_layer = {one.layer: one for one in maps}
    for name in layers:
        if name not in of_layer:
            raise NoSuchLayer(name, tuple(of_layer))
    return [of_layer[name] for name in layers]


def _last_of_each_size(maps: Sequence[_Read]) -> list[_Read]:
    """The finest first."""
    return list({one.value_Chw.shape[1:]: one for one in maps}.values())[-SHOWN_LAYERS:]


def _feature_maps(one: _Read) -> FeatureMaps:
    """The channels of a layer that speak most for the class."""
    strength_C = (one.value_Chw * one.slope_Chw).sum(dim=(1, 2))
    best = strength_C.argsort(descending=True, stable=True)[:SHOWN_CHANNELS]
    shown_Chw = one.value_Chw[best].float()
    low = shown_Chw.amin(dim=(1, 2), keepdim=True)
    high = shown_Chw.amax(dim=(1, 2), keepdim=True)
    scaled_Chw = (shown_Chw - low) / (high - low).clamp(min=1e-12)
    return FeatureMaps(one.layer, tuple(best.tolist()), scaled_Chw.numpy())


@contextmanager
def _watched(network: nn.Module) -> Iterator[_Watched]:
    """Note the outputs that are maps of cells, in the order of computation."""
    watched = _Watched()

    def look(name: str) -> Callable[..., None]:
        def note(_: nn.Module, __: object, output: object) -> None:
            if isinstance(output, torch.Tensor) and output.requires_grad:
                cells = _cells_of_map(output)
                if cells is not None:
                    watched.seen.append(_Seen(name, output, cells))

        return note

    def mixes(module: nn.Module, given: tuple[object, ...]) -> None:
        if not watched.before_mixing and watched.seen and _sees_all(module, given[0]):
            watched.before_mixing = watched.seen[-1].layer

    def enters(name: str) -> Callable[..., None]:
        def note(_: nn.Module, given: tuple[object, ...]) -> None:
            stream = given[0]
            if isinstance(stream, torch.Tensor) and stream.requires_grad:
                cells = _cells_of_tokens(stream)
                if cells is not None:
                    watched.seen.append(_Seen(name, stream, cells))
                    watched.tokens.add(name)

        return note

    hooks = [
        module.register_forward_hook(look(name)) for name, module in network.named_modules() if name
    ]
    hooks += [
        module.register_forward_pre_hook(enters(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.LayerNorm)
    ]
    hooks += [
        module.register_forward_pre_hook(mixes)
        for module in network.modules()
        if hasattr(getattr(module, "attn", None), "window_size")
    ]
    try:
        yield watched
    finally:
        for hook in hooks:
            hook.remove()


def _sees_all(block: nn.Module, given: object) -> bool:
    """Whether the window of a block of Swin, in timm or torchvision, covers the whole map BhwC that it is given."""
    window: Any = block.attn.window_size  # type: ignore[union-attr]
    least = min(window) if isinstance(window, Sequence) else window
    return isinstance(given, torch.Tensor) and given.dim() == 4 and max(given.shape[1:3]) <= least


def _cells_of_map(output: torch.Tensor) -> Cells | None:
    """How a layer's output becomes Chw; None where it is no map of more than one cell."""
    if output.dim() != 4:
        return None
    _, a, b, c = output.shape
    if a == b != c and a > 1:  # channels last, as in Swin; images are square
        return lambda x_BhwC: x_BhwC[0].permute(2, 0, 1)
    return (lambda x_BChw: x_BChw[0]) if b * c > 1 and b == c else None


def _cells_of_tokens(stream: torch.Tensor) -> Cells | None:
    """The same of tokens, of which class and register tokens come first."""
    if stream.dim() != 3:
        return None
    _, n, n_channels = stream.shape
    side = math.isqrt(n)
    n_before = n - side * side
    if side < 2 or n_before > MOST_BEFORE:
        return None
    return lambda x_BNC: x_BNC[0, n_before:].T.reshape(n_channels, side, side)
