"""Recipes and the numbers they stand for. params.yaml may override every field of them.

docs/recipes.md says what each was published or measured to reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline_lib.train.schedule import Schedule, side_px

Triple = tuple[float, float, float]
HALF: Triple = (0.5, 0.5, 0.5)
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)  # of the pictures torchvision's weights were trained on
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
# Views of an epoch from which the statistics of batch normalisation are estimated before each validation: "precise"
# statistics need 1,000 to 10,000 images (Wu and Johnson 2021, arXiv 2105.07576, section 3.1).
STATISTICS_VIEWS = 2048
RESNET_EPOCHS = (16, 24, 32, 40, 56, 88)


@dataclass(frozen=True)
class Recipe:
    """How to train. The fields mean what they mean in TrainParams."""

    network: str
    side_px: int
    epochs: int
    batch_size: int
    optimiser: Literal["sgd", "adam", "adamw", "muon"]
    peak_learning_rate: float
    weight_decay: float
    schedule: Schedule
    label_smoothing: float
    ema_half_life_epochs: float  # 0: no average
    shift_px: int
    flip: bool
    scale_min: float
    rotation_deg: float = 0.0
    zoom: float = 0.0
    shear_deg: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    cutout_px: int = 0
    sampling: Literal["as_is", "balanced"] = "as_is"
    logit_adjustment: float = 0.0
    teacher_share: float = 0.9
    teacher_temperature: float = 4.0
    self_training_rounds: int = 1
    pseudo_confidence: float = 0.6
    policy: Literal["none", "trivial", "rand"] = "none"
    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0
    train_from_px: int = 0  # 0: side_px
    train_to_px: int = 0
    warm_up: float | None = None
    first_layer_rate: float = 1.0
    clip_norm: float = 0.0
    micro_batches: int = 1
    compile: Literal["auto", "on", "off"] = "auto"
    patience: int = 0
    budget_minutes: float = 0.0
    freeze_batch_norm: bool = False
    probe_epochs: int = 0
    probe_learning_rate: float = 1e-3
    mean: Triple = HALF
    std: Triple = HALF

    def training_sides(self) -> list[int]:
        """Height and width of the training pictures in each epoch, pixels."""
        first, last = self.train_from_px or self.side_px, self.train_to_px or self.side_px
        return [side_px(epoch, self.epochs, first=first, last=last) for epoch in range(self.epochs)]


def _resnet(epochs: int) -> Recipe:
    """The recipe of ffcv-imagenet's `rn18_configs`: pictures grow from 160 to 192 px, evaluation sees 256."""
    return Recipe(
        network="resnet18+blur",
        side_px=256,
        train_from_px=160,
        train_to_px=192,
        epochs=epochs,
        batch_size=1024,
        optimiser="sgd",
        peak_learning_rate=0.5,
        weight_decay=5e-5,
        schedule="linear",
        warm_up=2 / epochs,
        label_smoothing=0.1,
        ema_half_life_epochs=0.0,
        shift_px=0,
        flip=True,
        scale_min=0.08,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )


RECIPES = {
    # Small pictures (digits, signs), no flip. On the demo, true labels, training seeds 0 to 4: 98.8 to 99.1 % in 28
    # CPU-seconds (AVX2); batch 64 at rate 0.1 and average 0.9 costs the same and gave 97.9 to 99.1 %.
    "quick": Recipe(
        network="mini_resnet",
        side_px=32,
        epochs=10,
        batch_size=32,
        optimiser="sgd",
        peak_learning_rate=0.05,
        weight_decay=5e-4,
        schedule="one_cycle",
        label_smoothing=0.1,
        ema_half_life_epochs=0.3,
        shift_px=2,
        flip=False,
        scale_min=1.0,
    ),
    # Photographs without weights to start from: torchvision's reference recipe, smaller and shorter.
    "photo": Recipe(
        network="resnet18",
        side_px=128,
        epochs=30,
        batch_size=64,
        optimiser="sgd",
        peak_learning_rate=0.05,
        weight_decay=5e-4,
        schedule="one_cycle",
        label_smoothing=0.1,
        ema_half_life_epochs=0.5,
        shift_px=0,
        flip=True,
        scale_min=0.35,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    ),
    # Photographs and a weight file: the head alone on features computed once, then everything, the early layers gently
    # (Kumar et al. 2022, arXiv 2202.10054; Howard and Ruder 2018, arXiv 1801.06146).
    "finetune": Recipe(
        network="resnet18",
        side_px=224,
        epochs=5,
        batch_size=32,
        optimiser="adamw",
        peak_learning_rate=5e-5,
        weight_decay=0.01,
        schedule="cosine",
        label_smoothing=0.1,
        ema_half_life_epochs=0.0,
        shift_px=0,
        flip=True,
        scale_min=0.5,
        freeze_batch_norm=True,
        probe_epochs=20,
        probe_learning_rate=1e-3,
        first_layer_rate=0.1,
        clip_norm=1.0,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    ),
    # A small vision transformer from scratch, for a million pictures or more (Beyer et al. 2022, arXiv 2205.01580).
    "vit": Recipe(
        network="vit_s_16",
        side_px=224,
        epochs=90,
        batch_size=1024,
        optimiser="adamw",
        peak_learning_rate=1e-3,
        weight_decay=0.1,
        schedule="cosine",
        warm_up=0.09,
        label_smoothing=0.0,
        ema_half_life_epochs=0.0,
        shift_px=0,
        flip=True,
        scale_min=0.05,
        policy="rand",
        mixup_alpha=0.2,
        clip_norm=1.0,
        mean=HALF,
        std=HALF,
    ),
    # Small photographs, to 94 % on CIFAR-10 in as few epochs as we can: the ideas of airbench94 (Jordan 2024, arXiv
    # 2404.00498) that fit a general loop.
    "cifar_speed": Recipe(
        network="speed_net",
        side_px=32,
        epochs=10,
        batch_size=1000,
        optimiser="muon",
        peak_learning_rate=0.02,
        weight_decay=0.02,
        schedule="linear",
        warm_up=0.2,
        label_smoothing=0.2,
        ema_half_life_epochs=0.3,
        shift_px=2,
        flip=True,
        scale_min=1.0,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    ),
    **{f"resnet-{epochs}": _resnet(epochs) for epochs in RESNET_EPOCHS},
}
