"""Muon, layer-wise rates, clipping and parts of a batch, each against torch or an identity."""

import copy

import pytest
import torch
from torch import nn

from pipeline_lib.loader import Batch
from pipeline_lib.networks.build import build_network, head_name
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.optimiser import Muon, build_optimiser, orthogonalised, rate_shares
from pipeline_lib.train.recipes import RECIPES, Recipe

LENET = RECIPES["quick"].changed(network="lenet", ema_half_life_epochs=0.0)


def _learner(recipe: Recipe) -> Learner:
    torch.manual_seed(0)
    model = Classifier(
        build_network(recipe.network, n_classes=3, side_px=32), mean=recipe.mean, std=recipe.std
    )
    return Learner(
        model, recipe, phases(recipe)[-1], objective=Objective(), device=torch.device("cpu")
    )


def _batch(n: int = 6) -> Batch:
    torch.manual_seed(1)
    images_BHWC = torch.randint(0, 256, (n, 32, 32, 3), dtype=torch.uint8)
    return Batch(images_BHWC, torch.arange(n) % 3, 1 + torch.rand(n), torch.arange(n))


def _weights(learner: Learner) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in learner.model.parameters()])


def test_muon_moves_matrices_as_torchs_does_and_filters_as_their_matrices() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(6, 12)
    flat, filters = nn.Parameter(matrix.clone()), nn.Parameter(matrix.clone().view(6, 3, 2, 2))
    theirs = torch.optim.Muon([flat], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    ours = Muon([{"params": [filters], "matrix": True, "weight_decay": 0.1}], fused=False)
    ours.param_groups[0]["lr"] = 0.02

    for _ in range(3):
        flat.grad = torch.randn(6, 12)
        filters.grad = flat.grad.clone().view(6, 3, 2, 2)
        theirs.step()  # type: ignore[no-untyped-call]
        ours.step()

    torch.testing.assert_close(filters.detach().flatten(1), flat.detach(), rtol=1e-2, atol=1e-4)


def test_an_orthogonalised_matrix_has_singular_values_near_one() -> None:
    values = torch.linalg.svdvals(orthogonalised(torch.randn(8, 20)).float())

    assert values.min() > 0.5 and values.max() < 1.4


@pytest.mark.parametrize("name", ["adam", "adamw", "muon", "sgd"])
def test_an_optimiser_goes_on_from_its_state(name: str) -> None:
    recipe = LENET.changed(optimiser=name)
    one, other = _learner(recipe), _learner(recipe)
    one.update(_batch(), rate=0.01)
    state = copy.deepcopy(one.state())
    one.update(_batch(), rate=0.01)

    other.load_state(state)
    other.update(_batch(), rate=0.01)

    assert torch.equal(_weights(one), _weights(other))


def test_muon_leaves_the_head_and_all_vectors_to_adamw() -> None:
    network = build_network("mini_resnet", n_classes=3, side_px=32)

    groups = build_optimiser(network, RECIPES["quick"].changed(optimiser="muon")).param_groups

    turned = {id(weight) for group in groups if group["matrix"] for weight in group["params"]}
    assert turned == {id(weight) for name, weight in network.named_parameters() if weight.ndim == 4}


def test_rates_grow_from_the_first_layer_to_the_head() -> None:
    network = build_network("resnet18", n_classes=3, side_px=32)

    shares = list(rate_shares(network, first=0.1).values())

    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0.1) and shares[-1] == 1.0 and len(set(shares)) == 8


def test_a_layer_moves_by_its_share_of_the_rate() -> None:
    """With plain SGD's first step, a tenth of the rate is a tenth of the way; the head goes the same way."""
    batch, plain, layered = _batch(), _learner(LENET), _learner(LENET.changed(first_layer_rate=0.1))
    before = _learner(LENET).model.network.state_dict()

    plain.update(batch, rate=0.01)
    layered.update(batch, rate=0.01)

    steps = {
        name: [
            learner.model.network.state_dict()[name] - before[name] for learner in (plain, layered)
        ]
        for name in ("0.weight", f"{head_name(plain.model.network)}.weight")
    }
    torch.testing.assert_close(
        steps["0.weight"][1], 0.1 * steps["0.weight"][0], rtol=1e-3, atol=1e-7
    )
    torch.testing.assert_close(*steps["12.weight"])


def test_parts_of_a_batch_make_the_step_of_the_whole() -> None:
    """LeNet has no batch normalisation, whose statistics are of a part."""
    whole, parts = _learner(LENET), _learner(LENET.changed(micro_batches=4))  # 6 images: 2, 2 and 2

    losses = [learner.update(_batch(), rate=0.05) for learner in (whole, parts)]

    torch.testing.assert_close(*losses)
    torch.testing.assert_close(_weights(whole), _weights(parts))


def test_a_long_gradient_is_cut_to_the_norm() -> None:
    learner, still = _learner(LENET.changed(clip_norm=0.01, weight_decay=0.0)), _learner(LENET)

    learner.update(_batch(), rate=1.0)

    length = (_weights(learner) - _weights(still)).norm()
    assert length == pytest.approx(
        0.01 * 1.9, rel=1e-3
    )  # Nesterov's first step goes 1 + momentum far
