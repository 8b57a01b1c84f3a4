"""Too little memory, and a loss that is no number: what is said, and that no weight has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline_lib.errors import ConfigError
from pipeline_lib.loader import Batch
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.small import MiniResNet
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.loss import EpochLoss, Objective
from pipeline_lib.train.out_of_memory import is_out_of_memory, with_remedy
from pipeline_lib.train.recipes import RECIPES
from pipeline_lib.train.run import run
from testing.small_line import SmallLine


def _holding(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the network a memory for `most` images."""
    forward = MiniResNet.forward

    def limited(network: MiniResNet, x_BCHW: torch.Tensor) -> torch.Tensor:
        if len(x_BCHW) > most and network.training:
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation"
            )
        return forward(network, x_BCHW)

    monkeypatch.setattr(MiniResNet, "forward", limited)


def test_out_of_memory_names_a_batch_size_with_which_training_then_works(
    small_line: SmallLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _holding(9, monkeypatch)
    said = (
        r"params.yaml: out of memory \(found: 32 images in a step: CUDA out of memory. Tried to allocate 2.00 GiB.\)"
        r"\. Remedy: set train.batch_size to 8, which fits, or train.micro_batches 4 times as high, which takes the "
        r"step in smaller parts; or lower train.side_px"
    )

    with pytest.raises(ConfigError, match=said):
        run(small_line.train(tmp_path, batch_size=32, epochs=1))
    run(small_line.train(tmp_path, batch_size=8, epochs=1))

    assert (tmp_path / "weights").exists()


def test_when_no_batch_fits_it_says_so(
    small_line: SmallLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _holding(0, monkeypatch)

    with pytest.raises(
        ConfigError, match="not even two images fit; or lower train.side_px, or choose a smaller"
    ):
        run(small_line.train(tmp_path, batch_size=32, epochs=1))


def test_too_little_memory_to_validate_is_named_too(
    small_line: SmallLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED\nin a convolution")

    monkeypatch.setattr("pipeline_lib.train.loop.validate", full)

    with pytest.raises(
        ConfigError, match="out of memory while validating .*ALLOC_FAILED.*lower train.batch_size"
    ):
        run(small_line.train(tmp_path, batch_size=8, epochs=1))


def test_the_allocator_of_the_cpu_is_recognised_and_no_other_error() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)

    assert is_out_of_memory(raised.value)
    with pytest.raises(RuntimeError, match="size"):
        with_remedy(lambda batch: torch.ones(3) @ torch.ones(2), _batch())


def _batch() -> Batch:
    images = torch.zeros(2, 32, 32, 3, dtype=torch.uint8)
    return Batch(
        images, torch.tensor([0, 1]), torch.tensor([1.0, float("nan")]), torch.tensor([1, 0])
    )


def test_a_loss_that_is_no_number_changes_no_weight_and_names_the_images() -> None:
    recipe = RECIPES["quick"]
    model = Classifier(
        build_network("mini_resnet", n_classes=2, side_px=32), mean=recipe.mean, std=recipe.std
    )
    learner = Learner(
        model, recipe, phases(recipe)[0], objective=Objective(), device=torch.device("cpu")
    )
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    losses = EpochLoss(torch.device("cpu"), ["src/one.png", "src/two.png"])

    said = r"the training diverged \(found: loss nan at step 1 of the epoch, images src/two.png, src/one.png"
    with pytest.raises(ConfigError, match=said):
        learner.update(_batch(), rate=0.1, before=losses.add)

    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())
