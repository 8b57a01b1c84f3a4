"""Small trainings are sound: what is kept does what the training did."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pipeline_lib.errors import ConfigError, NotFinite
from pipeline_lib.loader import Batch
from pipeline_lib.networks.build import build_network, normalisation
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import score
from pipeline_lib.params_file import load_section
from pipeline_lib.train.batch_norm import (
    FitOfStatistics,
    batch_norms,
    check_statistics,
    estimate_statistics,
)
from pipeline_lib.train.curves import is_logged
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.preflight import check_batch, fewest_pixels, smallest_part
from pipeline_lib.train.recipes import RECIPES, STATISTICS_VIEWS
from pipeline_lib.train.run import run
from pipeline_lib.train.weight_average import Average
from testing.small_line import SmallLine

CPU, HALF = torch.device("cpu"), (0.5, 0.5, 0.5)


class Held:
    """A BatchLoader of batches that are there."""

    kind = "memory"

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches
        self.image_ids: Sequence[str] = [
            f"image {n}" for n in range(sum(len(batch.labels_B) for batch in batches))
        ]

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        return iter(self.batches[start:])

    def close(self) -> None:
        pass


def _batches(n_batches: int, size: int, *, side_px: int = 32) -> list[Batch]:
    torch.manual_seed(5)
    return [
        Batch(
            torch.randint(0, 256, (size, side_px, side_px, 3), dtype=torch.uint8),
            torch.arange(size) % 3,
            torch.ones(size),
            torch.arange(size) + number * size,
        )
        for number in range(n_batches)
    ]


def _model(name: str = "mini_resnet") -> Classifier:
    torch.manual_seed(0)
    return Classifier(build_network(name, n_classes=3, side_px=32), mean=HALF, std=HALF, name=name)


def test_the_average_forgets_the_untrained_weights_in_a_training_of_any_length() -> None:
    """Step n keeps min(kept, n / (n + 10)): after 50 steps less than 1e-9 of the beginning, where .95 keeps 7.7 %."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1000.0)
    average = Average(model, decay=0.95)
    nn.init.zeros_(model.weight)

    for _ in range(50):
        average.update_parameters(model)

    assert 0 <= average.module.get_parameter("weight").item() < 1000 * 1e-9


def test_the_average_keeps_its_share_once_it_is_warm() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = Average(model, decay=0.5)
    for _ in range(100):
        average.update_parameters(model)
    nn.init.ones_(model.weight)

    average.update_parameters(model)

    assert average.module.get_parameter("weight").item() == 0.5


def test_the_statistics_are_the_mean_of_each_batchs_mean_and_unbiased_variance() -> None:
    """The first layer's input does not depend on statistics, so torch's own functions are the oracle."""
    model, batches = _model(), _batches(3, 8)
    stem: Any = model.network.stem
    maps = [
        stem[0](model.normalised(batch.images_BHWC)).transpose(0, 1).flatten(1) for batch in batches
    ]

    seen = estimate_statistics(model, batches, CPU)

    assert seen == 24
    torch.testing.assert_close(
        stem[1].running_mean, torch.stack([one.mean(1) for one in maps]).mean(0)
    )
    torch.testing.assert_close(
        stem[1].running_var, torch.stack([one.var(1) for one in maps]).mean(0)
    )


def test_statistics_of_before_and_the_layers_momentum_play_no_part() -> None:
    one, other = _model(), _model()
    for number, layer in enumerate(batch_norms(other)):
        assert layer.running_mean is not None
        layer.running_mean.fill_(1e6)
        layer.momentum = 0.01 * (number + 1)
    momenta = [layer.momentum for layer in batch_norms(other)]

    for model in (one, other):
        estimate_statistics(model, _batches(2, 8), CPU)

    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))
    assert [layer.momentum for layer in batch_norms(other)] == momenta
    assert not any(module.training for module in other.modules())


def test_no_more_views_are_looked_at_than_statistics_need() -> None:
    model, size = _model("lenet"), 256
    assert (
        estimate_statistics(model, _batches(2, size), CPU) == 0
    )  # without batch normalisation none

    assert (
        estimate_statistics(_model(), _batches(STATISTICS_VIEWS // size + 3, size), CPU)
        == STATISTICS_VIEWS
    )


def test_a_network_of_few_steps_evaluates_as_it_trained() -> None:
    """Six steps: the running statistics of torch still hold half of the beginning; the average of weights all of it."""
    model, batches = _model(), _batches(6, 16)
    learner = Learner(
        model,
        RECIPES["quick"],
        phases(RECIPES["quick"])[0],
        objective=Objective(),
        device=CPU,
        average_decay=0.99,
    )
    learner.begin_epoch()
    for batch in batches * 20:
        learner.update(batch, rate=0.02)

    learner.end_epoch(batches)

    found = check_statistics(learner.evaluated, Held(batches), CPU)
    assert found.n == 96
    assert abs(found.right - found.right_by_batch) <= 5
    assert found.doubt == ""


def test_an_epoch_ends_with_the_statistics_of_the_judged_model_and_a_frozen_backbone_keeps_its_own() -> (
    None
):
    recipe, batches = RECIPES["quick"].changed(probe_epochs=1), _batches(2, 8)
    model = _model()
    before = [buffer.clone() for buffer in model.buffers()]
    probe, _ = phases(recipe)
    learner = Learner(model, recipe, probe, objective=Objective(), device=CPU)
    learner.begin_epoch()
    learner.update(batches[0], rate=0.1)

    learner.end_epoch(batches)

    assert all(torch.equal(one, other) for one, other in zip(before, model.buffers(), strict=True))


def test_a_network_whose_statistics_do_not_fit_is_named(caplog: pytest.LogCaptureFixture) -> None:
    model, batches = _model(), _batches(4, 32)
    learner = Learner(
        model, RECIPES["quick"], phases(RECIPES["quick"])[0], objective=Objective(), device=CPU
    )
    learner.begin_epoch()
    for batch in batches * 30:
        learner.update(batch, rate=0.02)
    learner.end_epoch(batches)
    for layer in batch_norms(model):
        layer.reset_running_stats()
        assert layer.running_var is not None
        layer.running_var.fill_(30.0)

    found = check_statistics(model, Held(batches), CPU)

    assert found.right < found.right_by_batch
    assert found.doubt.startswith(
        f"the kept network is right on {found.right / 128:.1%} of its own training images, and on"
    )
    assert "Raise train.batch_size or train.side_px, or train for more epochs" in found.doubt


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        (FitOfStatistics(n=90, right=61, right_by_batch=90, differ=29), True),  # the 67.7 %
        (FitOfStatistics(n=1000, right=950, right_by_batch=990, differ=42), False),  # 4 points
        (
            FitOfStatistics(n=20, right=17, right_by_batch=19, differ=2),
            False,
        ),  # two images are luck
        (
            FitOfStatistics(n=90, right=90, right_by_batch=61, differ=29),
            False,
        ),  # small batches are rough, evaluation is not
    ],
)
def test_only_a_clear_loss_is_spoken_of(counts: FitOfStatistics, says: bool) -> None:
    assert bool(counts.doubt) == says


def test_what_is_asked_changes_no_weight_and_no_statistic() -> None:
    model = _model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    check_statistics(model, Held(_batches(2, 8)), CPU)

    after = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if "num_batches_tracked" not in name
    }
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())


@pytest.mark.parametrize("size", [2, 3, 7, 17])
def test_parts_of_a_batch_differ_by_one_at_most(size: int) -> None:
    for micro_batches in range(1, size // 2 + 1):
        recipe = RECIPES["quick"].changed(micro_batches=micro_batches, batch_size=size)
        parts = [len(part) for part in torch.arange(size).tensor_split(micro_batches)]

        assert min(parts) == smallest_part(recipe, n_images=None, processes=1) >= 2
        assert max(parts) - min(parts) <= 1


def test_a_step_that_would_see_one_image_is_refused_before_training(
    small_line: SmallLine, tmp_path: Path
) -> None:
    recipe = RECIPES["quick"].changed(micro_batches=2)

    with pytest.raises(
        ConfigError,
        match=r"a step would see one image at a time .*3 training images.*Remedy: lower",
    ):
        check_batch(_model().network, recipe, n_images=3, processes=1)


def test_a_network_that_is_left_with_too_few_values_is_refused_with_its_layer() -> None:
    network = build_network("efficientnet_b0", n_classes=3, side_px=32)
    recipe = RECIPES["photo"].changed(network="efficientnet_b0", side_px=32, batch_size=4)

    with pytest.raises(
        ConfigError,
        match=r"efficientnet_b0 cannot be trained at 32 px with 4 images at once .found: batch normalisation "
        r"features\.\S+ would see 4 values a channel, 8 are needed.*set train\.side_px to 64 or more",
    ):
        check_batch(network, recipe, n_images=None, processes=1)

    check_batch(network, recipe.changed(batch_size=8), n_images=None, processes=1)
    check_batch(network, recipe.changed(side_px=64), n_images=None, processes=1)
    check_batch(build_network("vit_s_16", n_classes=3, side_px=32), recipe, n_images=2, processes=1)


def test_the_layer_that_sees_the_fewest_pixels_is_found() -> None:
    assert fewest_pixels(_model().network, 32)[1] == 8 * 8
    assert fewest_pixels(_model("lenet").network, 32) == ("", 0)


def test_an_answer_that_is_no_number_names_network_layer_and_images() -> None:
    model, loader = _model(), Held(_batches(2, 2))
    network: Any = model.network
    with torch.no_grad():
        network.block2.bn1.running_var.fill_(float("nan"))

    with pytest.raises(
        NotFinite,
        match=r"the network's output for some images is not finite .found: mini_resnet, layer block2\.bn1 "
        r"\(BatchNorm2d\), images image 0, image 1\). Remedy: raise train\.side_px or train\.batch_size",
    ):
        list(score(model, loader, CPU))


def test_images_with_an_answer_are_not_blamed() -> None:
    model, (batch,) = _model("lenet"), _batches(1, 6)
    network: Any = model.network
    with torch.no_grad():
        network[12].bias[0] = float("inf")
        network[12].weight.zero_()

    with pytest.raises(
        NotFinite,
        match=r"lenet, layer 12 \(Linear\), images image 0, image 1, image 2, ... \(6 images\)",
    ):
        list(score(model, Held([batch]), CPU))


def test_ninety_easy_images_are_learnt_and_known_again(
    small_line: SmallLine, tmp_path: Path
) -> None:
    """The issue's case: what `init` writes for few images, with the recipe's own average."""
    own: dict[str, Any] = {
        "ema_half_life_epochs": None,
        "peak_learning_rate": 0.025,
        "epochs": 30,
        "batch_size": 16,
    }

    run(small_line.train(tmp_path, **own))

    found = json.loads((tmp_path / "validation.json").read_text())
    assert found["train_top1"] == found["train_top1_batch_statistics"] == 1.0
    assert found["val_top1"] == 1.0


def test_frozen_statistics_are_those_of_the_starting_weights_in_training_and_after_it() -> None:
    model, batches = _model(), _batches(2, 8)
    estimate_statistics(model, batches, CPU)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    recipe = RECIPES["quick"].changed(freeze_batch_norm=True)
    learner = Learner(
        model, recipe, phases(recipe)[-1], objective=Objective(), device=CPU, average_decay=0.5
    )
    learner.begin_epoch()
    network: Any = model.network
    stem = network.stem[1].weight.clone()

    learner.update(batches[0], rate=0.1)
    learner.end_epoch(batches)

    assert all(
        torch.equal(before[name], buffer) for name, buffer in learner.evaluated.named_buffers()
    )
    assert not torch.equal(stem, network.stem[1].weight)  # scale and shift of the layer train


def test_a_frozen_network_is_the_same_in_both_modes_and_may_be_fine_tuned_in_small_parts() -> None:
    model = _model()
    network: Any = model.network
    nn.init.constant_(network.stem[1].running_var, 30.0)

    found = check_statistics(model, Held(_batches(2, 8)), CPU, is_frozen=True)

    assert found.right == found.right_by_batch
    frozen = RECIPES["finetune"].changed(network="efficientnet_b0", side_px=32, batch_size=2)
    check_batch(
        build_network("efficientnet_b0", n_classes=3, side_px=32),
        frozen,
        n_images=None,
        processes=1,
    )


def test_nothing_is_frozen_that_no_weights_brought_along() -> None:
    with pytest.raises(
        ValueError, match="freeze_batch_norm keeps what weights bring along: set weights too"
    ):
        TrainParams(freeze_batch_norm=True)


def test_timms_networks_say_their_own_normalisation() -> None:
    """ImageNet's usual one shows these weights other colours than they were trained on."""
    assert normalisation(build_network("timm:tf_efficientnet_lite0", n_classes=3, side_px=64)) == (
        HALF,
        HALF,
    )
    assert normalisation(build_network("resnet18", n_classes=3, side_px=64)) is None


def test_a_key_of_an_earlier_version_is_refused_with_the_one_to_set(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("train: {ema_decay: 0.95}\n")

    with pytest.raises(
        ConfigError,
        match=r"train\.ema_decay no longer exists: set train\.ema_half_life_epochs, in epochs and not per step",
    ):
        load_section(tmp_path / "params.yaml", "train", TrainParams)


@pytest.mark.parametrize(
    ("n_epochs", "n_lines"), [(1, 1), (50, 50), (51, 26), (134, 45), (1000, 50)]
)
def test_a_log_has_some_fifty_lines_of_epochs_at_most_and_the_last(
    n_epochs: int, n_lines: int
) -> None:
    logged = [epoch for epoch in range(1, n_epochs + 1) if is_logged(epoch, n_epochs)]

    assert (len(logged), logged[-1]) == (n_lines, n_epochs)
