"""The numbers of a training, described once, and the recipes: named sets of them.

docs/recipes.md says what each recipe was published or measured to reach.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field

from pipeline_lib.loader.view_params import ViewParams
from pipeline_lib.params_file import Params
from pipeline_lib.train.schedule import Schedule, side_px

Share = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(gt=0, le=1)]
HALF = (0.5, 0.5, 0.5)
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of the images torchvision's weights were trained on
IMAGENET_STD = (0.229, 0.224, 0.225)
# Views of an epoch from which the statistics of batch normalisation are estimated before each validation: "precise"
# statistics need 1,000 to 10,000 images (Wu and Johnson 2021, arXiv 2105.07576, section 3.1).
STATISTICS_VIEWS = 2048
VISIBLE: dict[str, Any] = {"visible": True}  # in the form of a run


class TrainingNumbers(Params):
    """How to train: network, sizes, optimisation, and what to learn from. The defaults are those of recipe quick."""

    epochs: int = Field(
        10,
        ge=0,
        le=1000,
        description="number of passes over the training images; 0 trains the head alone, as probe_epochs says",
        json_schema_extra=VISIBLE,
    )
    network: str = Field(
        "mini_resnet",
        description="name of the network: mini_resnet, lenet, small_cnn, two_layer_cnn, speed_net, vit_s_16, a "
        "torchvision classifier or timm:NAME; with +blur at the end it blurs before it strides",
        json_schema_extra=VISIBLE,
    )
    side_px: int = Field(
        32, ge=16, le=1024, description="height and width of the network's input, in pixels"
    )
    batch_size: int = Field(
        32, ge=2, le=65536, description="number of images per training step, over all processes"
    )
    optimiser: Literal["sgd", "adam", "adamw", "muon"] = Field(
        "sgd",
        description="optimiser: sgd has Nesterov momentum 0.9; muon leaves the head and all vectors to AdamW",
    )
    peak_learning_rate: float = Field(
        0.05, gt=0, le=10, description="highest learning rate of the schedule"
    )
    weight_decay: float = Field(
        5e-4, ge=0, le=1, description="weight decay; biases and normalisation layers are exempt"
    )
    schedule: Schedule = Field(
        "one_cycle",
        description="course of the learning rate after its rise: half a cosine to 0 (one_cycle, cosine), a line to 0 "
        "(linear), or a tenth from 50 % of the steps and a hundredth from 75 % (step)",
    )
    warm_up: float | None = Field(
        None,
        ge=0,
        le=0.9,
        description="share of the steps in which the learning rate rises; null: 0.25 for one_cycle, 0.125 for linear, "
        "0.05 for cosine, 0 for step",
    )
    first_layer_rate: float = Field(
        1.0,
        gt=0,
        le=1,
        description="learning rate of the first layer as a share of the head's; the layers between lie between; 1 "
        "treats all layers alike",
    )
    frozen_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the layers, counted from the first, that keep the starting weights: no gradient is "
        "computed for them, which saves time; needs weights",
    )
    clip_norm: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="largest Euclidean norm of the gradient over all weights; 0 clips nothing",
    )
    micro_batches: int = Field(
        1,
        ge=1,
        le=1024,
        description="number of parts that a step computes one after the other, to save memory; the step is the same "
        "but for batch normalisation, which sees each part alone",
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto",
        description="whether torch.compile compiles the network, which changes last digits; auto: on a GPU only",
    )
    label_smoothing: float = Field(
        0.1, ge=0, lt=1, description="share of the target spread over all classes"
    )
    ema_half_life_epochs: float = Field(
        0.3,
        ge=0,
        le=1000,
        description="half-life of the moving average of the weights, in epochs; 0 keeps the weights themselves",
    )
    start_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the weights before the first epoch (after a probe) in the weights that are validated and "
        "kept; the rest are the trained ones; needs weights",
    )
    patience: int = Field(
        0,
        ge=0,
        le=1000,
        description="number of epochs without a lower validation loss after which training stops; 0 never stops early",
    )
    budget_minutes: float = Field(
        0.0,
        ge=0,
        le=100_000,
        description="longest training time in minutes, without validating and saving; the schedule follows the clock, "
        "so the result depends on the machine; 0 trains all epochs",
    )
    train_from_px: int = Field(
        0,
        ge=0,
        le=1024,
        description="height and width of the first epochs' training images, in pixels; 0 is side_px",
    )
    train_to_px: int = Field(
        0,
        ge=0,
        le=1024,
        description="height and width of the last epochs' training images, in pixels; 0 is side_px; sizes change in "
        "steps of 32 px between 70 and 85 % of the epochs",
    )
    policy: Literal["none", "trivial", "rand"] = Field(
        "none",
        description="augmentation: TrivialAugment or RandAugment, drawn anew for each sixteenth of a batch",
    )
    mixup_alpha: float = Field(
        0.0,
        ge=0,
        le=10,
        description="augmentation: parameter alpha of mixup's Beta(alpha, alpha); 0 mixes no images",
    )
    cutmix_alpha: float = Field(
        0.0,
        ge=0,
        le=10,
        description="augmentation: parameter alpha of CutMix, which pastes a box of another image; 0 pastes none; with "
        "mixup_alpha too, a batch gets one of the two",
    )
    sampling: Literal["as_is", "balanced"] = Field(
        "as_is",
        description="composition of an epoch: every image once (as_is), or as many random images with each class "
        "equally often (balanced); together with curate.class_weights it would favour rare classes twice",
    )
    logit_adjustment: float = Field(
        0.0,
        ge=0,
        le=2,
        description="strength of logit adjustment, which makes frequent classes harder to learn, so that the network "
        "answers as if all classes were equally frequent; 1 is the theory's value, 0 is off",
    )
    teacher_share: float = Field(
        0.9,
        ge=0,
        le=1,
        description="share of the loss that follows the teacher's answers; the rest follows the labels",
    )
    teacher_temperature: float = Field(
        4.0,
        gt=0,
        le=100,
        description="temperature that softens the teacher's and the student's answers",
    )
    self_training_rounds: int = Field(
        1,
        ge=0,
        le=10,
        description="number of self-training rounds where curate.learn_unlabelled provides unlabelled images: the "
        "model so far labels them, and a fresh model is trained on all images",
    )
    pseudo_confidence: float = Field(
        0.6,
        ge=0,
        le=1,
        description="lowest probability at which a guessed label is used in self-training",
    )
    freeze_batch_norm: bool = Field(
        False,
        description="whether training keeps the batch-normalisation statistics of the starting weights, so that a "
        "probed head stays right and small batches do no harm; needs weights",
    )
    probe_epochs: int = Field(
        0,
        ge=0,
        le=1000,
        description="largest number of passes over features computed once, to which the head alone is fitted before the "
        "other epochs (logistic regression by L-BFGS); a head that is no linear layer trains on the images instead",
    )
    probe_learning_rate: float = Field(
        1e-3,
        gt=0,
        le=10,
        description="peak learning rate of the probe epochs where the head is no linear layer",
    )
    mean: tuple[Share, Share, Share] = Field(
        HALF,
        description="mean of red, green and blue (0 to 1) that the network's input is normalised by; a timm network's "
        "published value comes before a recipe's",
    )
    std: tuple[Deviation, Deviation, Deviation] = Field(
        HALF,
        description="standard deviation of red, green and blue (0 to 1) that the network's input is normalised by; "
        "a timm network's published value comes before a recipe's",
    )


class Recipe(ViewParams, TrainingNumbers):
    """All numbers of a training. Pydantic lists the fields of the last base first: augmentation comes at the end."""

    def changed(self, **changes: Any) -> Self:
        """The same numbers but for these. Raises ValidationError."""
        return type(self).model_validate({**dict(self), **changes})

    def training_sides(self) -> list[int]:
        """Height and width of the training images in each epoch, pixels; of one epoch where there is none."""
        n_epochs = max(1, self.epochs)
        first = self.train_from_px or self.side_px
        last = self.train_to_px or self.side_px
        return [side_px(epoch, n_epochs, first=first, last=last) for epoch in range(n_epochs)]


# Small images (digits, signs), no flip. On the demo, true labels, training seeds 0 to 4: 98.8 to 99.1 % in 28
# CPU-seconds (AVX2); batch 64 at rate 0.1 and average 0.9 costs the same and gave 97.9 to 99.1 %.
QUICK = Recipe(shift_px=2)

# Photographs without weights to start from: torchvision's reference recipe, smaller and shorter.
PHOTO = Recipe(
    network="resnet18",
    side_px=128,
    epochs=30,
    batch_size=64,
    ema_half_life_epochs=0.5,
    flip=True,
    scale_min=0.35,
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
)

# Photographs and starting weights: the head alone on features computed once, then the last third of the layers with it
# (Kumar et al. 2022, arXiv 2202.10054), and of both models the mean (Wortsman et al. 2022, arXiv 2109.01903). Chosen on
# folds of 745 photographs: docs/training.md.
FINETUNE = PHOTO.changed(
    side_px=224,
    epochs=5,
    batch_size=16,
    optimiser="adamw",
    peak_learning_rate=6e-4,
    weight_decay=0.01,
    schedule="cosine",
    label_smoothing=0.0,
    ema_half_life_epochs=0.0,
    scale_min=0.5,
    freeze_batch_norm=True,
    probe_epochs=100,
    frozen_share=0.67,
    start_share=0.5,
    clip_norm=1.0,
)

# A small vision transformer from scratch, for a million images or more (Beyer et al. 2022, arXiv 2205.01580).
VIT = Recipe(
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
    flip=True,
    scale_min=0.05,
    policy="rand",
    mixup_alpha=0.2,
    clip_norm=1.0,
)

# Small photographs, to 94 % on CIFAR-10 in as few epochs as we can: the ideas of airbench94 (Jordan 2024, arXiv
# 2404.00498) that fit a general loop.
CIFAR_SPEED = QUICK.changed(
    network="speed_net",
    batch_size=1000,
    optimiser="muon",
    peak_learning_rate=0.02,
    weight_decay=0.02,
    schedule="linear",
    warm_up=0.2,
    label_smoothing=0.2,
    flip=True,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
)

# The recipes of ffcv-imagenet's `rn18_configs`, by their epochs: images grow from 160 to 192 px, evaluation sees 256.
RESNETS = {
    f"resnet-{epochs}": PHOTO.changed(
        network="resnet18+blur",
        side_px=256,
        train_from_px=160,
        train_to_px=192,
        epochs=epochs,
        batch_size=1024,
        peak_learning_rate=0.5,
        weight_decay=5e-5,
        schedule="linear",
        warm_up=2 / epochs,
        ema_half_life_epochs=0.0,
        scale_min=0.08,
    )
    for epochs in (16, 24, 32, 40, 56, 88)
}
RECIPES = {
    "quick": QUICK,
    "photo": PHOTO,
    "finetune": FINETUNE,
    "vit": VIT,
    "cifar_speed": CIFAR_SPEED,
    **RESNETS,
}
