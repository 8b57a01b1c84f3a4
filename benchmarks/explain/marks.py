"""Whether the map of a class lies on what makes the class: marks planted on photographs, four families of networks.

    python -m benchmarks.explain.marks [NAME...]

A class is a pattern (stripes, other stripes, a chequerboard, rings) in a disc of 30 % of the side, in colours and at a place
that chance chooses, on a window of a photograph (benchmarks/support/photographs.py), which tells nothing of the class. Each
network is trained until it tells the marks apart; of N new images the share of a map's evidence that lies in the mark's
box, grown by one cell, is taken, and the rank correlation of the map with those of fresh weights. The share of the image
that the grown boxes cover stands beside it: a map that knows nothing has that. One network learns classes that the tint
of the background tells and the mark does not: its maps must leave the mark. Cases not named keep their figures.
Writes benchmarks/results/marks.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from benchmarks.support.photographs import FOLDER, make_photographs
from benchmarks.support.results_file import Row, kept_rows, row, write_results
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.class_map import Shown, class_map, rank_correlations

K, N, N_FRESH = 4, 100, 10  # N_FRESH: images that are also shown to networks with fresh weights
MARK_SHARE = 0.3  # of the side
ENOUGH = 0.95  # of a hundred images
PHOTOGRAPHS = 300
TINTS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]])  # of backgrounds
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Case:
    """make: a network with fresh weights, from torch's random state. start: what it is given before training.

    by_background: the class is the tint of the photograph, and the mark tells nothing of it. seed: of the weights; the
    rules for transformers were found on other networks than those that are measured here, of seed 0.
    """

    make: Callable[[], nn.Module]
    side_px: int
    peak: float
    batch: int = 32
    most_steps: int = 1500
    start: Callable[[nn.Module], None] | None = None
    by_background: bool = False
    seed: int = 0


def named(name: str, side_px: int) -> nn.Module:
    """A network that a line can train."""
    return build_network(name, n_classes=K, side_px=side_px)


def small_vit() -> nn.Module:
    """timm's vision transformer, small: 4 blocks of 96 channels, patches of 8 px."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=96, patch_size=8, embed_dim=96, depth=4, num_heads=3, num_classes=K
    )


def small_swin() -> nn.Module:
    """timm's Swin, small: two stages of two blocks from 96 channels on, patches of 8 px, windows of 6 x 6."""
    from timm.models.swin_transformer import SwinTransformer

    return SwinTransformer(
        img_size=96,
        patch_size=8,
        window_size=6,
        embed_dim=96,
        depths=(2, 2),
        num_heads=(3, 6),
        num_classes=K,
    )


def builtin_weights(network: nn.Module) -> None:
    """ImageNet's, but for the head."""
    from pipeline_lib.backbones.builtin import EFFICIENTNET_LITE0, weight_file
    from pipeline_lib.train.initial_weights import read_weights, start_from

    file = weight_file(EFFICIENTNET_LITE0)
    sha256 = EFFICIENTNET_LITE0.sha256
    start_from(network, read_weights(file, sha256=sha256, name=EFFICIENTNET_LITE0.ref))


CASES = {
    "MiniResNet": Case(partial(named, "mini_resnet", 96), 96, 0.003),
    "EfficientNet-Lite0": Case(
        partial(named, "timm:tf_efficientnet_lite0", 160),
        160,
        0.001,
        batch=16,
        start=builtin_weights,
    ),
    "ViT, 4 blocks": Case(small_vit, 96, 0.001, seed=3),
    "Swin, 2 stages": Case(small_swin, 96, 0.001, seed=1),
    "MiniResNet, told by the background": Case(
        partial(named, "mini_resnet", 96), 96, 0.003, by_background=True
    ),
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explain.marks", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(CASES))
    chosen = parser.parse_args().names
    photographs = [
        np.asarray(Image.open(path).convert("RGB"))
        for path in make_photographs(FOLDER, count=PHOTOGRAPHS, images=None)
    ]
    rows = [one for name in chosen for one in measured(name, CASES[name], photographs)]
    rows = [*kept_rows("marks", but=chosen), *rows]
    print(f"wrote {write_results('marks', rows, also=('timm', 'scipy'))}")


def measured(name: str, case: Case, photographs: list[npt.NDArray[np.uint8]]) -> list[Row]:
    """Train, then look where the maps lie."""
    torch.manual_seed(case.seed)
    network = case.make()
    if case.start:
        case.start(network)
    steps, top1 = trained(network, case, photographs)
    random = np.random.default_rng(2)
    shares, areas, asked = [], [], []
    for n in range(N):
        pixels, label, box = planted(case, photographs, random)
        images = as_input(pixels[None])
        found = class_map(network, images, label)
        share, area = on_mark(found.evidence_hw, box, case.side_px)
        shares.append(share)
        areas.append(area)
        if n < N_FRESH:
            asked.append(Shown(images, label, found.evidence_hw))
    rows = [
        row(name, "steps of training", "steps", [steps]),
        row(name, "top-1", "", [top1]),
        row(name, "cells", "", [found.evidence_hw.shape[0]]),
        row(name, "evidence on the mark, mean", "", [float(np.mean(shares))]),
        row(name, "evidence on the mark", "", shares),
        row(name, "share of the image that the grown box covers", "", areas),
        row(name, "rank correlation with fresh weights", "", rank_correlations(case.make, asked)),
    ]
    for one in rows:
        print(
            f"{one.case}, {one.metric}: {one.median:.3f} ({one.min:.3f} to {one.max:.3f})",
            flush=True,
        )
    return rows


def trained(
    network: nn.Module, case: Case, photographs: list[npt.NDArray[np.uint8]]
) -> tuple[int, float]:
    """Train until ENOUGH of a hundred new images are right. Leaves the network in evaluation mode."""
    random = np.random.default_rng(0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=case.peak, weight_decay=0.05)
    warm_up = 50
    top1 = 0.0
    for step in range(1, case.most_steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = case.peak * min(1.0, step / warm_up)
        images_BHWC, labels_B, _ = batch_of(case.batch, case, photographs, random)
        network.train()
        loss = F.cross_entropy(network(as_input(images_BHWC)), torch.from_numpy(labels_B))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 50 == 0:
            images_BHWC, labels_B, _ = batch_of(100, case, photographs, np.random.default_rng(1))
            network.eval()
            with torch.no_grad():
                top1 = float((network(as_input(images_BHWC)).argmax(1).numpy() == labels_B).mean())
            print(f"step {step}: loss {loss.item():.3f}, top-1 {top1:.2f}", flush=True)
            if top1 >= ENOUGH:
                return step, top1
    return case.most_steps, top1


def batch_of(
    n: int, case: Case, photographs: list[npt.NDArray[np.uint8]], random: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], list[Box]]:
    """n planted images."""
    images, labels, boxes = zip(
        *(planted(case, photographs, random) for _ in range(n)), strict=True
    )
    return np.stack(images), np.array(labels), list(boxes)


def planted(
    case: Case, photographs: list[npt.NDArray[np.uint8]], random: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], int, Box]:
    """An image, its class, and the box of the mark: left, top, right, bottom."""
    side_px = case.side_px
    photograph = photographs[random.integers(len(photographs))]
    top, left = (int(random.integers(0, size - side_px + 1)) for size in photograph.shape[:2])
    pixels = photograph[top : top + side_px, left : left + side_px].copy()
    label = int(random.integers(K))
    pattern = label
    if case.by_background:
        pattern = int(random.integers(K))
        pixels = (0.5 * pixels + 0.5 * TINTS[label]).astype(np.uint8)
    size = round(MARK_SHARE * side_px)
    y, x = np.mgrid[:size, :size] + random.uniform(0, 8)
    wave = size / random.uniform(3.5, 5)
    radius = np.hypot(*(np.mgrid[:size, :size] - (size - 1) / 2))
    phase = {0: x, 1: y, 2: None, 3: radius}[pattern]
    bright = (
        np.sin(2 * np.pi * x / wave) * np.sin(2 * np.pi * y / wave)
        if phase is None
        else np.sin(2 * np.pi * phase / wave)
    ) > 0
    one, other = random.integers(0, 90, 3), random.integers(165, 256, 3)
    mark = np.where(bright[..., None], one, other).astype(np.uint8)
    x0, y0 = (int(random.integers(0, side_px - size + 1)) for _ in range(2))
    part = pixels[y0 : y0 + size, x0 : x0 + size]
    part[:] = np.where((radius < size / 2)[..., None], mark, part)
    return pixels, label, (x0, y0, x0 + size, y0 + size)


def as_input(images_BHWC: npt.NDArray[np.uint8]) -> torch.Tensor:
    """float images_BCHW, about from -1 to 1."""
    return torch.from_numpy(images_BHWC).permute(0, 3, 1, 2).float() / 127.5 - 1


def on_mark(evidence_hw: npt.NDArray[np.float32], box: Box, side_px: int) -> tuple[float, float]:
    """The share of the evidence in the box grown by one cell, and the share of the image that it covers.

    A cell's evidence lies evenly over its pixels.
    """
    height, width = evidence_hw.shape
    cell_y, cell_x = side_px / height, side_px / width
    left, top, right, bottom = box
    rows_h = overlap(height, cell_y, top - cell_y, bottom + cell_y)
    columns_w = overlap(width, cell_x, left - cell_x, right + cell_x)
    inside_hw = rows_h[:, None] * columns_w[None]
    total = float(evidence_hw.sum())
    return (float((evidence_hw * inside_hw).sum()) / total if total else 0.0), float(
        inside_hw.mean()
    )


def overlap(n: int, cell: float, start: float, end: float) -> npt.NDArray[np.float64]:
    """The share of each of n cells that lies between start and end."""
    at = np.arange(n) * cell
    return np.clip(np.minimum(at + cell, end) - np.maximum(at, start), 0, None) / cell


if __name__ == "__main__":
    main()
