"""The `train` section of params.yaml."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline_lib.params_file import Params
from pipeline_lib.train.recipes import RECIPES, Recipe
from pipeline_lib.train.schedule import Schedule

TORCHVISION, REGISTERED = "torchvision:", "registered:"  # how train.weights begins when it is no file

# What FFCV's own Loader, unlike ours, has no transform for (pipeline_lib/loader/ffcv_loader.py).
NOT_IN_FFCV = ("rotation_deg", "zoom", "shear_deg", "brightness", "contrast", "saturation", "cutout_px")


class TrainParams(Params):
    """A recipe, and what to change in it: null takes the recipe's own value."""

    GONE = {"ema_decay": "set train.ema_half_life_epochs, in epochs and not per step; 0 as before is no average"}  # noqa: RUF012 - as in Params

    recipe: Literal[
        "quick",
        "photo",
        "finetune",
        "vit",
        "cifar_speed",
        "resnet-16",
        "resnet-24",
        "resnet-32",
        "resnet-40",
        "resnet-56",
        "resnet-88",
    ] = Field(
        "quick",
        description="quick: small pictures; photo: photographs from scratch; finetune: photographs from a weight file; "
        "others in docs/recipes.md",
        json_schema_extra={"visible": True},
    )
    epochs: int | None = Field(
        None, ge=1, le=1000, description="passes over the training pictures", json_schema_extra={"visible": True}
    )
    network: str | None = Field(
        None,
        description="mini_resnet, lenet, small_cnn, two_layer_cnn, speed_net, vit_s_16, a torchvision classifier or "
        "timm:NAME; +blur at the end blurs before striding",
        json_schema_extra={"visible": True},
    )
    weights: str | None = Field(
        None,
        description="weights to start from: a file (.safetensors or .pth) relative to the repository, "
        "torchvision:ResNet18_Weights.IMAGENET1K_V1, or registered:VERSION",
    )
    weights_sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="sha256 of those weights, hex")
    side_px: int | None = Field(None, ge=16, le=1024, description="height and width of what the network sees, pixels")
    batch_size: int | None = Field(None, ge=2, le=65536, description="pictures per step")
    optimiser: Literal["sgd", "adam", "adamw", "muon"] | None = Field(
        None, description="sgd: with Nesterov momentum 0.9; muon: with AdamW for the head and all vectors"
    )
    peak_learning_rate: float | None = Field(None, gt=0, le=10, description="highest learning rate of the schedule")
    weight_decay: float | None = Field(None, ge=0, le=1, description="not applied to biases and normalisation layers")
    schedule: Schedule | None = Field(
        None,
        description="learning rate after its rise: half a cosine to 0 (one_cycle, cosine), a line to 0 (linear), or a "
        "tenth from 50 % of the steps and a hundredth from 75 % (step)",
    )
    warm_up: float | None = Field(
        None,
        ge=0,
        le=0.9,
        description="share of the steps in which the rate rises; by schedule one_cycle 0.25, linear 0.125, cosine 0.05",
    )
    first_layer_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="share of the learning rate for the first layer; the layers up to the head lie between, 1 is equal",
    )
    clip_norm: float | None = Field(
        None, ge=0, le=1000, description="longest gradient, Euclidean norm over all weights; 0 clips nothing"
    )
    micro_batches: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="parts a step takes its batch in, one after the other: less memory, and the same step but for "
        "batch normalisation, which sees each part alone",
    )
    compile: Literal["auto", "on", "off"] | None = Field(
        None, description="compile the network with torch.compile, which changes last digits; auto: on a GPU"
    )
    label_smoothing: float | None = Field(None, ge=0, lt=1, description="share of the target spread over all classes")
    ema_half_life_epochs: float | None = Field(
        None,
        ge=0,
        le=1000,
        description="half-life of the moving average of the weights, in epochs; 0 keeps the weights themselves",
    )
    patience: int | None = Field(
        None, ge=0, le=1000, description="stop after so many epochs without a lower validation loss; 0 never stops"
    )
    budget_minutes: float | None = Field(
        None,
        ge=0,
        le=100_000,
        description="train for so long at most, validation and saving left out; the schedule follows the time, so the "
        "result depends on the machine; 0 trains all epochs",
    )
    train_from_px: int | None = Field(
        None, ge=16, le=1024, description="side of the training pictures at first; null trains at side_px"
    )
    train_to_px: int | None = Field(
        None, ge=16, le=1024, description="and at last: they grow in steps of 32 px between 70 and 85 % of the epochs"
    )
    policy: Literal["none", "trivial", "rand"] | None = Field(
        None, description="augmentation: TrivialAugment or RandAugment, a draw for each sixteenth of the batch"
    )
    mixup_alpha: float | None = Field(
        None, ge=0, le=10, description="augmentation: mix pairs of pictures, Beta(alpha, alpha); 0 mixes none"
    )
    cutmix_alpha: float | None = Field(
        None, ge=0, le=10, description="augmentation: a box of another picture; with mixup_alpha, one or the other"
    )
    shift_px: int | None = Field(None, ge=0, le=64, description="augmentation: random shift up to this many pixels")
    flip: bool | None = Field(None, description="augmentation: mirror at random; wrong for digits, text and signs")
    scale_min: float | None = Field(
        None,
        gt=0,
        le=1,
        description="augmentation: random crops of at least this share of the picture's area; 1 takes the centre",
    )
    rotation_deg: float | None = Field(
        None, ge=0, le=180, description="augmentation: turn by up to this many degrees, either way"
    )
    zoom: float | None = Field(
        None, ge=0, le=0.9, description="augmentation: enlarge by a random factor between 1 - this and 1 + this"
    )
    shear_deg: float | None = Field(
        None, ge=0, le=60, description="augmentation: slant by up to this many degrees, either way"
    )
    brightness: float | None = Field(
        None, ge=0, le=1, description="augmentation: multiply by a random factor between 1 - this and 1 + this"
    )
    contrast: float | None = Field(None, ge=0, le=1, description="augmentation: the same with the contrast")
    saturation: float | None = Field(None, ge=0, le=1, description="augmentation: the same with the saturation")
    cutout_px: int | None = Field(
        None, ge=0, le=512, description="augmentation: hide a square of this side, anywhere, in pixels"
    )
    sampling: Literal["as_is", "balanced"] | None = Field(
        None,
        description="an epoch shows every picture once (as_is), or as many at random, each class equally often "
        "(balanced); with curate.class_weights too, rare classes would be favoured twice",
    )
    logit_adjustment: float | None = Field(
        None,
        ge=0,
        le=2,
        description="makes frequent classes harder to learn by this many times the logarithm of their share, so that "
        "the network answers as if all were equally frequent; 1 is the theory's, 0 is off",
    )
    teacher: str | None = Field(
        None,
        min_length=1,
        description="learn the answers of this model too (distillation): a folder with model.json and "
        "model.safetensors, relative to the repository, or registered:3, a version",
    )
    teacher_sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="sha256 of its weights, hex")
    teacher_share: float | None = Field(
        None, ge=0, le=1, description="share of the loss that asks for the teacher's answers; the rest, for labels"
    )
    teacher_temperature: float | None = Field(
        None, gt=0, le=100, description="softens both sides' answers before they are compared"
    )
    self_training_rounds: int | None = Field(
        None,
        ge=0,
        le=10,
        description="where curate.learn_unlabelled gives pictures without a label: how often they are labelled by "
        "the model so far, and a fresh one is trained on all",
    )
    pseudo_confidence: float | None = Field(
        None, ge=0, le=1, description="probability from which such a guess is used as a label"
    )
    freeze_batch_norm: bool | None = Field(
        None,
        description="keep the statistics of batch normalisation that the starting weights come with, in training too: "
        "a head that was probed on them stays right, and small batches do no harm; only with weights",
    )
    probe_epochs: int | None = Field(
        None, ge=0, le=1000, description="passes before the others that train only the head, on features computed once"
    )
    probe_learning_rate: float | None = Field(None, gt=0, le=10, description="peak learning rate of those epochs")
    seed: int = Field(
        0, ge=0, lt=2**31, description="of weights, order and augmentation", json_schema_extra={"visible": True}
    )
    threads: int = Field(
        2, ge=1, le=256, description="CPU threads of one training step; another number gives other bits"
    )
    processes: int = Field(
        1, ge=1, le=256, description="processes that share each batch, one per GPU; another number gives other bits"
    )
    views: Literal["keyed", "ffcv"] = Field(
        "keyed",
        description="who crops, resizes and augments training images; keyed: drawn from seed, epoch and image, so that "
        "a training can be repeated; ffcv: FFCV's own Loader, whose draws cannot be repeated",
    )

    @model_validator(mode="after")
    def _weights_are_pinned(self) -> Self:
        pinned_by_name = (self.weights or "").startswith(TORCHVISION)  # its file names hold the digest
        if (self.weights is None) != (self.weights_sha256 is None) and not pinned_by_name:
            raise ValueError("weights and weights_sha256 go together: `sha256sum FILE` prints the second")
        if self.recipe == "finetune" and self.weights is None:
            raise ValueError(
                "recipe finetune needs weights: set weights to torchvision:ResNet18_Weights.IMAGENET1K_V1 (fetched "
                "once), or weights and weights_sha256 to a file and its digest, or take recipe photo"
            )
        return self

    @model_validator(mode="after")
    def _the_teacher_is_pinned(self) -> Self:
        if (self.teacher is None) != (self.teacher_sha256 is None):
            raise ValueError(
                "teacher and teacher_sha256 go together: `sha256sum FOLDER/model.safetensors` prints the second"
            )
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        recipe = self.resolved()
        if recipe.freeze_batch_norm and self.weights is None:
            raise ValueError("freeze_batch_norm keeps what weights bring along: set weights too, or leave it out")
        if recipe.batch_size < 2 * recipe.micro_batches * self.processes:
            size, among = recipe.batch_size, f" for {self.processes} processes" if self.processes > 1 else ""
            raise ValueError(f"micro_batches leaves parts of less than two: lower it, batch_size is {size}{among}")
        return self

    @model_validator(mode="after")
    def _batches_can_be_shared(self) -> Self:
        if (size := self.resolved().batch_size) % self.processes:
            raise ValueError(f"processes = {self.processes} cannot share batches of {size}: it must divide batch_size")
        return self

    @model_validator(mode="after")
    def _something_is_seen(self) -> Self:
        recipe = self.resolved()
        for name in ("shift_px", "cutout_px"):
            if getattr(recipe, name) >= (least := min(recipe.side_px, *recipe.training_sides())):
                raise ValueError(f"{name} takes the whole picture away: make it smaller than side_px, {least}")
        return self

    @model_validator(mode="after")
    def _ffcv_has_these_augmentations(self) -> Self:
        recipe = self.resolved()
        asked_for = [name for name in NOT_IN_FFCV if getattr(recipe, name)]
        if self.views == "ffcv" and asked_for:
            raise ValueError(f"views = ffcv has no {', '.join(asked_for)}: set them to 0, or views to keyed")
        return self

    def resolved(self) -> Recipe:
        """The recipe with the overrides applied."""
        own = {field.name: getattr(self, field.name, None) for field in fields(Recipe)}
        if self.side_px is not None:  # a recipe's growing sizes go with its own side
            own["train_from_px"], own["train_to_px"] = self.train_from_px or 0, self.train_to_px or 0
        return replace(RECIPES[self.recipe], **{name: value for name, value in own.items() if value is not None})

    def as_record(self) -> dict[str, object]:
        """What model.json says of the training: every number that was used."""
        return {
            "name": self.recipe,
            **asdict(self.resolved()),
            "seed": self.seed,
            "threads": self.threads,
            "processes": self.processes,
            # Absent means keyed, as in records of earlier versions, which the gate compares with.
            **({"views": self.views} if self.views != "keyed" else {}),
        }


PARAMS = TrainParams
