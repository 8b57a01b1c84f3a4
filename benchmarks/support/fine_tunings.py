"""What people would write to fine-tune EfficientNet-Lite0 on images in memory: timm's defaults, and fastai's way.

Both get a CPU budget: a trial of two steps says how many whole epochs reach it, rounded up. Both see the weights, the
normalisation and the evaluation view (bicubic, the centre of 7/8) of timm's configuration of the network, and compute in
`channels_last`, which halves their time. Neither validates.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
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

BATCH = 32
TRIAL_STEPS = 2
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

    SGD with momentum 0.9 at 0.1 x batch / 256, decay 2e-5, cosine by epoch after a warm-up from 1e-5 (its five epochs
    would be the whole training: one), crops of 0.08 to 1, mirroring, colour jitter 0.4, label smoothing 0.1. Its batch of
    128 would leave six steps an epoch: 32.
    """
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - timm's transforms draw from it
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
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)

    n_epochs = _epochs_within(cpu_s, network, train, augment)
    schedule, _ = create_scheduler_v2(
        optimiser, sched="cosine", num_epochs=n_epochs, warmup_epochs=1, warmup_lr=1e-5
    )
    for epoch in range(n_epochs):
        schedule.step(epoch)
        for images_BCHW, labels_B in _batches(train, augment):
            _step(network, optimiser, loss, images_BCHW, labels_B)
    return _answers(network, test)


def fastai_way(
    train: Images, test: Images, *, n_classes: int, cpu_s: float, seed: int
) -> np.ndarray:
    """The labels that a script after fastai's `fine_tune` answers with (fastai 2.7: base_lr 2e-3, lr_mult 100).

    One epoch of the head and batch normalisation at one-cycle, then all layers at one-cycle with rates from a hundredth
    for the first to half of base_lr for the head. Adam with decoupled decay 0.01; crops of 0.5 to 1, mirroring, rotation
    by 10 degrees, light by 0.2.
    """
    torch.manual_seed(seed)
    network = _network(n_classes)
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
    loss = nn.CrossEntropyLoss()
    n_epochs = max(1, _epochs_within(cpu_s, network, train, augment) - 1)

    # Frozen: the head and the normalisation layers, as fastai leaves these in training.
    normalisation = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    network.requires_grad_(False)
    for layer in [network.get_classifier(), *normalisation]:
        layer.requires_grad_(True)
    rates = [2e-3]
    _one_cycle(
        network,
        [list(network.parameters())],
        rates,
        loss,
        train,
        augment,
        n_epochs=1,
        rise=0.99,
        div=25,
    )

    # Unfrozen: two halves of the backbone and the head.
    network.requires_grad_(True)
    body = [
        weight for name, weight in network.named_parameters() if not name.startswith("classifier")
    ]
    groups = [
        body[: len(body) // 2],
        body[len(body) // 2 :],
        list(network.get_classifier().parameters()),
    ]
    rates = [1e-5, 1e-4, 1e-3]
    _one_cycle(network, groups, rates, loss, train, augment, n_epochs=n_epochs, rise=0.3, div=5)
    return _answers(network, test)


def _one_cycle(
    network: nn.Module,
    groups: Sequence[Sequence[nn.Parameter]],
    rates: Sequence[float],
    loss: nn.Module,
    train: Images,
    augment: Augment,
    *,
    n_epochs: int,
    rise: float,
    div: float,
) -> None:
    weights = [
        {"params": [one for one in group if one.requires_grad], "lr": rate}
        for group, rate in zip(groups, rates, strict=True)
    ]
    optimiser = torch.optim.AdamW(weights, betas=(0.9, 0.99), eps=1e-5, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        max_lr=list(rates),
        total_steps=n_epochs * (len(train.images) // BATCH),
        pct_start=rise,
        div_factor=div,
        final_div_factor=1e5 / div,
    )
    for _ in range(n_epochs):
        for images_BCHW, labels_B in _batches(train, augment):
            _step(network, optimiser, loss, images_BCHW, labels_B)
            schedule.step()


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


def _epochs_within(cpu_s: float, network: nn.Module, train: Images, augment: Augment) -> int:
    """How many whole epochs reach the budget, from two steps whose gradients are thrown away."""
    batches = _batches(train, augment)
    state = {name: one.clone() for name, one in network.state_dict().items()}
    seconds = []
    for _ in range(TRIAL_STEPS):
        began = time.process_time()
        images_BCHW, labels_B = next(batches)
        nn.functional.cross_entropy(network(images_BCHW), labels_B).backward()
        seconds.append(time.process_time() - began)
    network.zero_grad()
    network.load_state_dict(state)
    n_steps = len(train.images) // BATCH
    return max(2, math.ceil(cpu_s / (min(seconds) * n_steps)))


def _batches(train: Images, augment: Augment) -> Iterator[tuple[Tensor, Tensor]]:
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
