"""What people would write to fine-tune EfficientNet-Lite0 on images in memory: timm's defaults, and fastai's way.

Both get a CPU budget and spend it to the end: their schedules follow the share of it that is spent. Both see the weights,
the normalisation and the evaluation view (bicubic, the centre of 7/8) of timm's configuration of the network, and compute
in `channels_last`, which halves their time. Neither validates.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import Tensor, nn
from torchvision.transforms import v2

from pipeline_lib.backbones import builtin_backbone, weight_file
from pipeline_lib.train.initial_weights import read_weights

BATCH = 16
Augment = Callable[[Image.Image], Tensor]


@dataclass(frozen=True)
class Images:
    """RGB images in memory, N of them; labels_N: int64."""

    images: Sequence[Image.Image]
    labels_N: np.ndarray


def timm_defaults(
    train: Images, test: Images, *, n_classes: int, cpu_s: float, seed: int
) -> np.ndarray:
    """The labels that timm's train.py would answer with: its default options (timm 1.0), but for length and batch.

    SGD with momentum 0.9 at 0.1 x batch / 256, decay 2e-5, a cosine to 0 after a warm-up from 1e-5 (five epochs of 300:
    here a tenth of the time), crops of 0.08 to 1, mirroring, colour jitter 0.4, label smoothing 0.1. Its batch of 128
    would leave some ten steps: 16, as ours. timm draws a fresh head of this network from +-0.32: its loss begins at 4.
    """
    torch.manual_seed(seed)
    random.seed(seed)  # timm's transforms draw from it
    network = _network(n_classes)
    config = resolve_model_data_config(network)
    augment = create_transform(
        config["input_size"],
        is_training=True,
        interpolation="random",
        mean=config["mean"],
        std=config["std"],
    )
    optimiser = create_optimizer_v2(
        network, opt="sgd", lr=0.1 * BATCH / 256, weight_decay=2e-5, momentum=0.9
    )
    schedule, _ = create_scheduler_v2(
        optimiser, sched="cosine", num_epochs=100, warmup_epochs=10, warmup_lr=1e-5
    )
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    clock = Clock(cpu_s)
    for images_BCHW, labels_B in _batches(train, augment):
        if clock.share >= 1:
            break
        schedule.step(int(100 * clock.share))
        _step(network, optimiser, loss, images_BCHW, labels_B)
    return _answers(network, test)


def fastai_way(
    train: Images, test: Images, *, n_classes: int, cpu_s: float, seed: int
) -> np.ndarray:
    """The labels that a script after fastai's `fine_tune` answers with (fastai 2.7: base_lr 2e-3, lr_mult 100).

    One epoch of the head and batch normalisation at one-cycle, then all layers at one-cycle with rates from a hundredth
    for the first to half of base_lr for the head. Adam with decoupled decay 0.01; crops of 0.5 to 1, mirroring, rotation
    by 10 degrees, light by 0.2. Batches of 16, as ours. The head is torch's fresh one (fastai's has two layers more).
    """
    torch.manual_seed(seed)
    network = _network(n_classes)
    network.classifier = nn.Linear(network.num_features, n_classes)
    config = resolve_model_data_config(network)
    augment = v2.Compose(
        [
            v2.RandomResizedCrop(config["input_size"][1:], scale=(0.5, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.RandomRotation(10)], p=0.75),
            v2.RandomApply([v2.ColorJitter(0.2, 0.2)], p=0.75),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(config["mean"], config["std"]),
        ]
    )
    clock = Clock(cpu_s)
    batches = _batches(train, augment)
    head = list(network.get_classifier().parameters())

    # Frozen: the head and the normalisation layers, as fastai leaves these in training.
    network.requires_grad_(False)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in [network.get_classifier(), *norms]:
        layer.requires_grad_(True)
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    n_steps = len(train.images) // BATCH
    shares = (step / n_steps for step in range(n_steps))
    _one_cycle(network, {2e-3: trained}, batches, shares, rise=0.99, div=25)

    # Unfrozen: two halves of the backbone and the head, until the time is up.
    network.requires_grad_(True)
    body = [
        weight for name, weight in network.named_parameters() if not name.startswith("classifier")
    ]
    half = len(body) // 2
    clock.restart_share()
    groups = {1e-5: body[:half], 1e-4: body[half:], 1e-3: head}
    _one_cycle(network, groups, batches, clock.shares(), rise=0.3, div=5)
    return _answers(network, test)


class Clock:
    """CPU seconds of this process, as a share of a budget that begins now."""

    def __init__(self, budget_s: float) -> None:
        self.began = time.process_time()
        self.ends = self.began + budget_s

    def restart_share(self) -> None:
        """Count the share from now on, with the same end."""
        self.began = time.process_time()

    @property
    def share(self) -> float:
        """0 at the beginning, 1 at the end."""
        return (time.process_time() - self.began) / max(self.ends - self.began, 1e-9)

    def shares(self) -> Iterator[float]:
        """The share before each step, until it is 1."""
        while (share := self.share) < 1:
            yield share


def _one_cycle(
    network: nn.Module,
    groups: Mapping[float, Sequence[nn.Parameter]],
    batches: Iterator[tuple[Tensor, Tensor]],
    shares: Iterator[float],
    *,
    rise: float,
    div: float,
) -> None:
    """Half a cosine from rate / div to the rate in the first `rise` of the time, another to rate / 1e5 in the rest."""
    optimiser = torch.optim.AdamW(
        [{"params": list(weights), "peak": rate} for rate, weights in groups.items()],
        betas=(0.9, 0.99),
        eps=1e-5,
        weight_decay=0.01,
    )
    loss = nn.CrossEntropyLoss()
    for share in shares:
        images_BCHW, labels_B = next(batches)
        for group in optimiser.param_groups:
            peak = group["peak"]
            if share < rise:
                group["lr"] = _between(peak / div, peak, share / rise)
            else:
                group["lr"] = _between(peak, peak / 1e5, (share - rise) / (1 - rise))
        _step(network, optimiser, loss, images_BCHW, labels_B)


def _between(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def _network(n_classes: int) -> nn.Module:
    """The pretrained network with a fresh head."""
    backbone = builtin_backbone("builtin:efficientnet_lite0")
    assert backbone is not None
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=n_classes)
    tensors = read_weights(weight_file(backbone), sha256=backbone.sha256).tensors
    body = {name: one for name, one in tensors.items() if not name.startswith("classifier")}
    missing, _ = network.load_state_dict(body, strict=False)
    assert all(name.startswith("classifier") or "num_batches" in name for name in missing)
    return network.to(memory_format=torch.channels_last).train()


def _batches(train: Images, augment: Augment) -> Iterator[tuple[Tensor, Tensor]]:
    """Whole batches, epoch after epoch without an end."""
    while True:
        order = torch.randperm(len(train.images))
        for rows_B in order[: len(order) // BATCH * BATCH].split(BATCH):
            images_BCHW = torch.stack([augment(train.images[int(row)]) for row in rows_B])
            labels_B = torch.from_numpy(train.labels_N[rows_B.numpy()])
            yield images_BCHW.contiguous(memory_format=torch.channels_last), labels_B


def _step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss: nn.Module,
    images_BCHW: Tensor,
    labels_B: Tensor,
) -> None:
    network.train()
    optimiser.zero_grad()
    loss(network(images_BCHW), labels_B).backward()
    optimiser.step()


@torch.no_grad()
def _answers(network: nn.Module, test: Images) -> np.ndarray:
    config = resolve_model_data_config(network)
    view = create_transform(**config, is_training=False)
    network.eval()
    answers = []
    for first in range(0, len(test.images), BATCH):
        images_BCHW = torch.stack([view(one) for one in test.images[first : first + BATCH]])
        logits_BK = network(images_BCHW.contiguous(memory_format=torch.channels_last))
        answers.append(logits_BK.argmax(1).numpy())
    return np.concatenate(answers)
