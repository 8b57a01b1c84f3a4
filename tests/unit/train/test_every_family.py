"""One small member of every family that torchvision classifies with trains two steps and loads again."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline_lib.loader import Batch
from pipeline_lib.networks.build import (
    OURS,
    auxiliary_heads,
    build_network,
    drop_auxiliary_heads,
    head_name,
)
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.saved_weights import load_weights, save_weights
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.preflight import LEAST_VALUES
from pipeline_lib.train.recipes import RECIPES

# The least side that fits, or 32. benchmarks/robustness/families.py trains, exports and checks these and the larger
# ones whole.
FAMILIES = {
    "alexnet": 64,
    "convnext_tiny": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "googlenet": 32,
}
FAMILIES |= {
    "inception_v3": 75,
    "maxvit_t": 224,
    "mnasnet0_5": 64,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
}
FAMILIES |= {
    "regnet_y_400mf": 32,
    "resnet18": 32,
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 32,
    "swin_t": 32,
}
FAMILIES |= {"vgg11": 32, "vit_s_16": 32}
EXTRA = {"resnet18+blur": 32, "timm:mobilenetv3_small_050": 32, "timm:vit_tiny_patch16_224": 48}


def _batch(side_px: int) -> Batch:
    """Few images; at a small side as many as `check_batch` wants for maps of one pixel."""
    n = 3 if side_px >= 64 else LEAST_VALUES
    return Batch(
        torch.randint(0, 256, (n, side_px, side_px, 3), dtype=torch.uint8),
        torch.arange(n) % 3,
        torch.ones(n),
        torch.arange(n),
    )


def _learner(name: str, side_px: int) -> Learner:
    torch.manual_seed(0)
    network = build_network(name, n_classes=3, side_px=side_px, auxiliary=True)
    recipe, half = RECIPES["photo"].changed(ema_half_life_epochs=0.0), (0.5, 0.5, 0.5)
    model = Classifier(network, mean=half, std=half)
    return Learner(
        model, recipe, phases(recipe)[-1], objective=Objective(), device=torch.device("cpu")
    )


@pytest.mark.parametrize(
    ("name", "side_px"), [*FAMILIES.items(), *EXTRA.items(), *((name, 32) for name in OURS)]
)
def test_it_trains_two_steps_and_what_is_saved_answers_the_same(
    name: str, side_px: int, tmp_path: Path
) -> None:
    """Files of more than 100 MB are left to the benchmark."""
    torch.set_num_threads(1)
    learner, batch = _learner(name, side_px), _batch(side_px)
    head: Any = learner.head
    before = head.weight.clone()
    learner.begin_epoch()

    losses = [learner.update(batch, rate=1e-3) for _ in range(2)]
    learner.end_epoch([batch])

    assert torch.isfinite(torch.stack(losses)).all() and not torch.equal(head.weight, before)
    if sum(weight.numel() for weight in learner.model.parameters()) > 25e6:
        return
    save_weights(learner.model.network, tmp_path)
    again = build_network(name, n_classes=3, side_px=side_px)
    load_weights(again, tmp_path)
    x_BCHW = torch.rand(1, 3, side_px, side_px)
    with torch.no_grad():
        answer_BK = learner.model.network.eval()(x_BCHW)
        torch.testing.assert_close(again.eval()(x_BCHW), answer_BK, rtol=0, atol=0)
    assert answer_BK.isfinite().all()


def test_the_list_above_leaves_no_family_of_torchvision_out() -> None:
    import torchvision.models as zoo

    modules = {zoo.get_model_builder(name).__module__ for name in zoo.list_models(module=zoo)}

    assert modules == {
        zoo.get_model_builder(name).__module__ for name in FAMILIES if name != "vit_s_16"
    } | {"torchvision.models.vision_transformer"}


def test_the_auxiliary_heads_add_three_tenths_of_their_losses_each() -> None:
    learner, batch = _learner("googlenet", 32), _batch(32)
    learner.begin_epoch()
    torch.manual_seed(1)
    with torch.no_grad():
        main, second, first = learner.model(batch.images_BHWC)
        losses = [
            torch.nn.functional.cross_entropy(logits_BK, batch.labels_B)
            for logits_BK in (main, second, first)
        ]

    torch.manual_seed(1)
    found = learner.update(batch, rate=0.01)

    torch.testing.assert_close(found, losses[0] + 0.3 * losses[1] + 0.3 * losses[2])


def test_without_its_auxiliary_heads_a_network_is_the_one_that_evaluates() -> None:
    network = build_network("googlenet", n_classes=3, side_px=32, auxiliary=True)
    assert auxiliary_heads(network) == ["aux1", "aux2"]

    drop_auxiliary_heads(network)

    assert (
        network.state_dict().keys()
        == build_network("googlenet", n_classes=3, side_px=32).state_dict().keys()
    )


def test_inception_says_that_it_trains_without_its_auxiliary_head_on_small_images(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO"):
        network = build_network("inception_v3", n_classes=3, side_px=75, auxiliary=True)

    assert auxiliary_heads(network) == []
    assert caplog.messages == ["inception_v3 trains without its auxiliary head, which needs 299 px"]


def test_timm_says_which_layer_is_the_head() -> None:
    assert head_name(build_network("timm:vit_tiny_patch16_224", n_classes=3, side_px=48)) == "head"
