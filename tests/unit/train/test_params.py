"""Parameters, schedule, optimiser and the watch over the loss, each alone."""

import copy
import math

import pytest
import torch
from pydantic import ValidationError

from pipeline_lib.errors import ConfigError
from pipeline_lib.loader import Batch
from pipeline_lib.networks.build import build_network
from pipeline_lib.train.loss import EpochLoss
from pipeline_lib.train.optimiser import NesterovSGD, build_optimiser
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.recipes import RECIPES, Recipe
from pipeline_lib.train.schedule import learning_rate


def test_null_takes_the_recipes_value_and_anything_else_overrides_it() -> None:
    recipe = TrainParams.model_validate(
        {
            "recipe": "photo",
            "epochs": 2,
            "network": None,
            "flip": False,
            "ema_half_life_epochs": 0.0,
        }
    )

    assert (recipe.epochs, recipe.network, recipe.flip, recipe.ema_half_life_epochs) == (
        2,
        "resnet18",
        False,
        0.0,
    )
    assert recipe.batch_size == RECIPES["photo"].batch_size


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_by_name_has_its_numbers_and_a_check_of_types_lists_every_name(name: str) -> None:
    needs = {"weights": "torchvision:ResNet18_Weights.IMAGENET1K_V1"} if name == "finetune" else {}

    params = TrainParams.model_validate({"recipe": name, **needs})

    assert params.model_dump(include=set(Recipe.model_fields)) == RECIPES[name].model_dump()
    assert set(TrainParams.model_json_schema()["properties"]["recipe"]["enum"]) == set(RECIPES)


def test_a_number_that_a_recipe_may_decide_has_no_default_of_its_own_in_the_schema() -> None:
    properties = TrainParams.model_json_schema()["properties"]

    assert "default" not in properties["epochs"] and properties["seed"]["default"] == 0


def test_digits_are_never_mirrored_by_the_default_recipe() -> None:
    assert not TrainParams().flip


def test_finetune_without_a_weight_file_is_refused() -> None:
    with pytest.raises(
        ValidationError, match="recipe finetune needs weights: set weights to torchvision:ResNet18"
    ):
        TrainParams(recipe="finetune")


def test_a_weight_file_without_its_digest_is_refused() -> None:
    with pytest.raises(ValidationError, match="weights and weights_sha256 go together"):
        TrainParams(weights="w.pth")


@pytest.mark.parametrize("name", ["shift_px", "cutout_px"])
def test_an_augmentation_that_leaves_nothing_to_see_is_refused(name: str) -> None:
    with pytest.raises(
        ValidationError,
        match=f"{name} takes the whole image away: make it smaller than side_px, 24",
    ):
        TrainParams.model_validate({"side_px": 24, name: 24})


def test_the_default_recipe_shifts_and_does_nothing_else() -> None:
    """Its scorecard in the README was measured so."""
    recipe = TrainParams()

    assert (recipe.shift_px, recipe.scale_min, recipe.sampling) == (2, 1, "as_is")
    assert not any(
        (recipe.flip, recipe.rotation_deg, recipe.zoom, recipe.shear_deg, recipe.cutout_px)
    )
    assert not any((recipe.brightness, recipe.contrast, recipe.saturation))


def test_one_cycle_rises_in_a_line_for_a_quarter_of_the_steps_and_ends_near_nothing() -> None:
    """Eight steps: two rising to the peak, six along half a cosine whose next step would be 0."""
    rates = [learning_rate(step, 8, peak=0.4, schedule="one_cycle") for step in range(8)]

    expected = [0.2, 0.4, *(0.2 * (1 + math.cos(math.pi * k / 7)) for k in range(1, 7))]
    assert rates == pytest.approx(expected)


def test_a_schedule_of_one_step_uses_the_peak() -> None:
    assert learning_rate(0, 1, peak=0.1, schedule="cosine") == 0.1


def test_biases_and_normalisation_do_not_decay() -> None:
    network = build_network("mini_resnet", n_classes=3, side_px=32)

    decaying, others = build_optimiser(network, RECIPES["quick"]).param_groups

    assert decaying["weight_decay"] == 5e-4 and all(
        weight.ndim > 1 for weight in decaying["params"]
    )
    assert others["weight_decay"] == 0 and all(weight.ndim == 1 for weight in others["params"])


def test_our_sgd_is_torchs_bit_for_bit() -> None:
    torch.manual_seed(0)
    ours = build_network("mini_resnet", n_classes=3, side_px=32)
    theirs = copy.deepcopy(ours)
    one = build_optimiser(ours, RECIPES["quick"])
    groups = build_optimiser(theirs, RECIPES["quick"]).param_groups
    other = torch.optim.SGD(groups, momentum=0.9, nesterov=True)

    for network, optimiser in ((ours, one), (theirs, other)):
        torch.manual_seed(1)
        for rate in (0.1, 0.05, 0.2):
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad()
            network(torch.randn(4, 3, 32, 32)).square().mean().backward()
            optimiser.step()

    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, its)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sgd", NesterovSGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)],
)
def test_the_recipe_names_its_optimiser(name: str, kind: type) -> None:
    recipe = TrainParams(optimiser=name)

    assert type(build_optimiser(build_network("lenet", n_classes=3, side_px=32), recipe)) is kind


def _batch(positions: list[int]) -> Batch:
    n = len(positions)
    return Batch(torch.zeros(n, 2, 2, 3), torch.zeros(n), torch.ones(n), torch.tensor(positions))


def test_the_epochs_loss_is_the_mean_over_images_and_not_over_batches() -> None:
    losses = EpochLoss(torch.device("cpu"), ["a", "b", "c"])

    losses.add(torch.tensor(1.0), _batch([0, 1]))
    losses.add(torch.tensor(4.0), _batch([2]))

    assert losses.mean() == 2.0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_names_the_step_the_images_and_what_to_try(value: float) -> None:
    losses = EpochLoss(torch.device("cpu"), ["src/a.png", "src/b.png"])
    losses.add(torch.tensor(1.0), _batch([0]))

    with pytest.raises(
        ConfigError,
        match=r"the training diverged \(found: loss (nan|inf) at step 2 .* src/b.png.*lower train.peak",
    ):
        losses.add(torch.tensor(value), _batch([1]))


def test_on_a_gpu_the_loss_is_looked_at_every_fifty_steps_and_at_the_end() -> None:
    losses = EpochLoss(torch.device("cuda"), ["a", "b"])

    losses.add(torch.tensor(3.0), _batch([0]))

    assert losses.so_far == 0.0
    assert losses.mean() == 3.0
