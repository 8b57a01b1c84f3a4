"""The `train` section of params.yaml: a recipe, and what differs from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from pipeline_lib.backbones import builtin_backbone
from pipeline_lib.loader.view_params import IN_FFCV
from pipeline_lib.networks.timm_store import TIMM
from pipeline_lib.networks.weight_store import is_published
from pipeline_lib.params_file import Params
from pipeline_lib.train.recipes import RECIPES, VISIBLE, Recipe

REGISTERED = "registered:"  # how train.weights begins for a version of the registry
DIGEST = "^[0-9a-f]{64}$"


def _without_defaults(schema: dict[str, Any]) -> None:
    """Leave the recipe's numbers without a default in the JSON schema: which one holds depends on `recipe`."""
    for name in Recipe.model_fields:
        schema["properties"][name].pop("default", None)


class TrainingChoices(Params):
    """The keys of the section that are no number of a recipe."""

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
        description="name of the recipe. quick: small images; photo: photographs from scratch; finetune: photographs "
        "from starting weights; others in docs/recipes.md",
        json_schema_extra=VISIBLE,
    )
    weights: str | None = Field(
        None,
        description="weights to start from: a file (.safetensors or .pth) relative to the repository, "
        "torchvision:ResNet18_Weights.IMAGENET1K_V1 or timm:NAME (fetched once), registered:VERSION, or "
        "builtin:efficientnet_lite0, which set-up installed; timm's and built-in weights bring their network along",
    )
    weights_sha256: str | None = Field(
        None, pattern=DIGEST, description="sha256 of the file of weights, in hex"
    )
    teacher: str | None = Field(
        None,
        min_length=1,
        description="model whose answers are learnt too (distillation): a folder with model.json and "
        "model.safetensors, relative to the repository, or registered:VERSION",
    )
    teacher_sha256: str | None = Field(
        None, pattern=DIGEST, description="sha256 of the teacher's weights, in hex"
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**31,
        description="random seed for initial weights, order and augmentation",
        json_schema_extra=VISIBLE,
    )
    threads: int = Field(
        2,
        ge=1,
        le=256,
        description="number of CPU threads of a training step; another number changes last digits",
    )
    processes: int = Field(
        1,
        ge=1,
        le=256,
        description="number of processes that share each batch, one per GPU; another number changes last digits",
    )
    views: Literal["keyed", "ffcv"] = Field(
        "keyed",
        description="maker of the training views; keyed: drawn from seed, epoch and image, so that a training can be "
        "repeated; ffcv: FFCV's own Loader, whose draws cannot be repeated",
    )


class TrainParams(Recipe, TrainingChoices):
    """A recipe, and what to change in it: a key that is absent or null takes the recipe's own value.

    So an instance is the whole description of a training: its fields hold the numbers that are used.
    """

    model_config = ConfigDict(json_schema_extra=_without_defaults)
    GONE: ClassVar[Mapping[str, str]] = {
        "ema_decay": "set train.ema_half_life_epochs, in epochs and not per step; 0 as before is no average"
    }
    DEFAULTS_IN_WORDS: ClassVar[Mapping[str, str]] = dict.fromkeys(
        Recipe.model_fields, "the recipe's"
    )

    @model_validator(mode="before")
    @classmethod
    def _on_top_of_the_recipe(cls, given: Any) -> Any:
        """Lay the keys that are set over the recipe's numbers."""
        if not isinstance(given, dict):
            return given
        own = {key: value for key, value in given.items() if value is not None}
        name = own.get("recipe", "quick")
        if not isinstance(name, str) or name not in RECIPES:
            return own  # the type of `recipe` says what is wrong
        numbers = dict(RECIPES[name])
        if backbone := builtin_backbone(own.get("weights")):
            numbers["network"] = backbone.network
        if str(own.get("weights")).startswith(TIMM):
            numbers["network"] = own["weights"]
        # A recipe's growing sizes belong to its own side_px.
        if "side_px" in own:
            numbers["train_from_px"] = 0
            numbers["train_to_px"] = 0
        return {**numbers, **own}

    @model_validator(mode="after")
    def _weights_are_pinned(self) -> Self:
        # The name of torchvision's file holds its digest; the code holds that of a built-in one.
        is_pinned_by_name = is_published(self.weights) or builtin_backbone(self.weights)
        if (self.weights is None) != (self.weights_sha256 is None) and not is_pinned_by_name:
            raise ValueError(
                "weights and weights_sha256 go together: `sha256sum FILE` prints the second"
            )
        if self.recipe == "finetune" and self.weights is None:
            raise ValueError(
                "recipe finetune needs weights: set weights to torchvision:ResNet18_Weights.IMAGENET1K_V1 (fetched "
                "once), or weights and weights_sha256 to a file and its digest, or take recipe photo"
            )
        for name in ("freeze_batch_norm", "frozen_share", "start_share"):
            if getattr(self, name) and self.weights is None:
                raise ValueError(
                    f"{name} keeps what weights bring along: set weights too, or leave it out"
                )
        return self

    @model_validator(mode="after")
    def _something_is_trained(self) -> Self:
        if self.epochs == 0 and self.probe_epochs == 0:
            raise ValueError(
                "epochs = 0 and probe_epochs = 0 train nothing: raise epochs; or set weights, and probe_epochs for "
                "the head alone"
            )
        return self

    @model_validator(mode="after")
    def _built_in_weights_have_their_network(self) -> Self:
        backbone = builtin_backbone(self.weights)
        if backbone and self.network != backbone.network:
            raise ValueError(
                f"{self.weights} goes with network {backbone.network}: leave network out"
            )
        if backbone and self.weights_sha256:
            raise ValueError(f"weights_sha256 is for a file: leave it out beside {self.weights}")
        return self

    @model_validator(mode="after")
    def _teacher_is_pinned(self) -> Self:
        if (self.teacher is None) != (self.teacher_sha256 is None):
            raise ValueError(
                "teacher and teacher_sha256 go together: `sha256sum FOLDER/model.safetensors` prints the second"
            )
        return self

    @model_validator(mode="after")
    def _batches_can_be_shared(self) -> Self:
        # Batch normalisation needs two images at once.
        size = self.batch_size
        if size < 2 * self.micro_batches * self.processes:
            among = f" for {self.processes} processes" if self.processes > 1 else ""
            raise ValueError(
                f"micro_batches leaves parts of less than two: lower it, batch_size is {size}{among}"
            )
        if size % self.processes:
            raise ValueError(
                f"processes = {self.processes} cannot share batches of {size}: it must divide batch_size"
            )
        return self

    @model_validator(mode="after")
    def _something_is_seen(self) -> Self:
        for name, size_px in (
            ("train_from_px", self.train_from_px),
            ("train_to_px", self.train_to_px),
        ):
            if 0 < size_px < 16:
                raise ValueError(f"{name} is 16 or more, or 0 for side_px")
        # What growing images begin with counts too.
        smallest_px = min(self.side_px, *self.training_sides())
        for name, size_px in (("shift_px", self.shift_px), ("cutout_px", self.cutout_px)):
            if size_px >= smallest_px:
                raise ValueError(
                    f"{name} takes the whole image away: make it smaller than side_px, {smallest_px}"
                )
        return self

    @model_validator(mode="after")
    def _ffcv_has_these_augmentations(self) -> Self:
        missing = [name for name in self.varied() if name not in IN_FFCV]
        if self.views == "ffcv" and missing:
            raise ValueError(
                f"views = ffcv has no {', '.join(missing)}: set them to 0, or views to keyed"
            )
        return self

    def as_record(self) -> dict[str, object]:
        """What model.json says of the training: every number that was used."""
        recorded = {*Recipe.model_fields, "seed", "threads", "processes"}
        # Absent means keyed, as in records of earlier versions, which the gate compares with.
        if self.views != "keyed":
            recorded.add("views")
        return {"name": self.recipe, **self.model_dump(include=recorded)}


PARAMS = TrainParams
