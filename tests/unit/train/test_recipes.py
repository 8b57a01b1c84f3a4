"""Recipes by name: they are whole, they train, and a growing size or a probe does what it says."""

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.networks.speed_net import Whitening
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.train.linear_probe import Start, whiten_and_probe
from pipeline_lib.train.loaders import open_images
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.recipes import RECIPES, Recipe
from pipeline_lib.train.run import run
from pipeline_lib.train.schedule import Schedule, learning_rate, out_of_patience, side_px
from testing.small_line import SmallLine

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"epochs": 1, "side_px": 32, "network": "mini_resnet", "batch_size": 20}
EVERYTHING: dict[str, Any] = {
    "optimiser": "muon",
    "peak_learning_rate": 0.02,
    "mixup_alpha": 0.2,
    "cutmix_alpha": 1.0,
}
EVERYTHING |= {
    "policy": "trivial",
    "micro_batches": 2,
    "clip_norm": 1.0,
    "first_layer_rate": 0.5,
    "epochs": 3,
}
EVERYTHING |= {"ema_half_life_epochs": 0.3, "train_from_px": 24, "train_to_px": 56, "side_px": 48}


def _rates(schedule: Schedule, n_steps: int, **options: float) -> list[float]:
    return [
        learning_rate(step, n_steps, peak=1.0, schedule=schedule, **options)
        for step in range(n_steps)
    ]


def test_step_falls_to_a_tenth_at_half_and_to_a_hundredth_at_three_quarters() -> None:
    assert _rates("step", 8) == pytest.approx([1] * 4 + [0.1] * 2 + [0.01] * 2)


def test_linear_rises_for_its_warm_up_and_falls_in_a_line_whose_next_step_would_be_nothing() -> (
    None
):
    assert _rates("linear", 8, warm_up=0.25) == pytest.approx(
        [0.5, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7]
    )


def test_images_grow_in_steps_of_32_pixels_as_ffcvs_do() -> None:
    """Its 16-epoch recipe is at 160 up to epoch 11 and at 192 from epoch 13 on."""
    sides = RECIPES["resnet-16"].training_sides()

    assert sides[:11] == [160] * 11 and sides[13:] == [192] * 3 and set(sides) == {160, 192}
    assert [side_px(epoch, 20, first=128, last=224) for epoch in (0, 15, 19)] == [128, 192, 224]


def test_patience_counts_epochs_since_the_lowest_loss() -> None:
    assert out_of_patience([1.0, 0.5, 0.6, 0.7], 2)
    assert not out_of_patience([1.0, 0.5, 0.6, 0.7], 3)
    assert not out_of_patience([1.0, 2.0, 3.0], 0)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (
            {"batch_size": 8, "micro_batches": 5},
            "micro_batches leaves parts of less than two: lower it, batch_size is 8",
        ),
        ({"shift_px": 30, "train_from_px": 24}, "make it smaller than side_px, 24"),
        ({"epochs": 0}, "train nothing: raise epochs; or set weights, and probe_epochs"),
        ({"frozen_share": 0.5}, "frozen_share keeps what weights bring along: set weights too"),
    ],
)
def test_what_does_not_fit_together_is_refused(params: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TrainParams.model_validate(params)


def test_a_side_of_ones_own_takes_the_place_of_a_recipes_growing_sizes() -> None:
    assert set(TrainParams(recipe="resnet-16", side_px=128).training_sides()) == {128}


@pytest.mark.parametrize(
    "name", [name for name in RECIPES if name not in ("quick", "photo", "finetune")]
)
def test_every_recipe_trains_on_small_images(
    small_line: SmallLine, tmp_path: Path, name: str
) -> None:
    """With a small network, so that it stays a matter of seconds; quick, photo and finetune have tests of their own."""
    if name.startswith("resnet-") and name != "resnet-16":
        assert RECIPES[name] == RECIPES["resnet-16"].changed(
            epochs=int(name[7:]), warm_up=2 / int(name[7:])
        )
        return
    network = {"network": "speed_net"} if name == "cifar_speed" else {}

    run(
        small_line.train(
            tmp_path,
            recipe=name,
            **SMALL | network,
            peak_learning_rate=None,
            ema_half_life_epochs=None,
        )
    )

    assert len(pd.read_csv(tmp_path / "curves.csv")) == 1


def test_all_parts_at_once_train_and_repeat_to_the_byte(
    small_line: SmallLine, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        run(small_line.train(tmp_path / name, **EVERYTHING))

    one, two = (
        (tmp_path / name / "weights/model.safetensors").read_bytes() for name in ("one", "two")
    )
    assert one == two
    losses = pd.read_csv(tmp_path / "one/curves.csv")["val_loss"]
    assert losses.iloc[-1] < losses.iloc[0]


def test_training_stops_when_patience_is_out(small_line: SmallLine, tmp_path: Path) -> None:
    run(small_line.train(tmp_path, epochs=40, patience=1, peak_learning_rate=0.3))

    losses = pd.read_csv(tmp_path / "curves.csv")["val_loss"]
    assert len(losses) < 40 and losses.idxmin() == len(losses) - 2


def test_patience_begins_anew_after_a_probe(
    small_line: SmallLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe, whole = [0.5, 0.6], [0.9, 0.8, 0.85]
    losses = iter(probe + whole)  # the loop trains the head too
    monkeypatch.setattr("pipeline_lib.train.loop.validate", lambda *_: (next(losses), 0.5))
    monkeypatch.setattr(
        "pipeline_lib.train.run.whiten_and_probe",
        lambda model, recipe, **_: Start(recipe=recipe, probe=None),
    )

    run(small_line.train(tmp_path, epochs=10, probe_epochs=10, patience=1))

    assert list(pd.read_csv(tmp_path / "curves.csv")["val_loss"]) == probe + whole


def _prepared(small_line: SmallLine, recipe: Recipe) -> tuple[Classifier, Recipe]:
    torch.manual_seed(0)
    network = build_network(recipe.network, n_classes=3, side_px=32)
    model = Classifier(network, mean=recipe.mean, std=recipe.std)
    job = small_line.train(small_line.folder)
    rows = SELECTION.read(job.reads["selection"] / "train.parquet")
    start = whiten_and_probe(
        model,
        recipe,
        objective=Objective(),
        open_still=lambda: open_images(job, rows, recipe),
        device=CPU,
    )
    return model, start.recipe


def test_a_probe_on_features_trains_the_head_alone_and_leaves_nothing_to_probe(
    small_line: SmallLine,
) -> None:
    recipe = RECIPES["quick"].changed(batch_size=16)
    before, _ = _prepared(small_line, recipe)

    after, left = _prepared(small_line, recipe.changed(probe_epochs=3))

    pairs = zip(
        before.network.state_dict().items(), after.network.state_dict().values(), strict=True
    )
    assert {name for (name, one), other in pairs if not torch.equal(one, other)} == {
        "head.weight",
        "head.bias",
    }
    assert left.probe_epochs == 0


def test_the_probed_head_is_epoch_0_and_kept_where_nothing_later_validates_better(
    small_line: SmallLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([0.3, 0.3, 0.5, 0.4])
    monkeypatch.setattr("pipeline_lib.train.loop.validate", lambda *_: (next(losses), 0.5))

    run(small_line.train(tmp_path / "alone", probe_epochs=2, epochs=0))
    run(small_line.train(tmp_path / "all", probe_epochs=2, epochs=2))

    alone, curves = (pd.read_csv(tmp_path / name / "curves.csv") for name in ("alone", "all"))
    assert list(alone["epoch"]) == [0] and list(curves["epoch"]) == [0, 1, 2]
    assert alone.iloc[0].equals(curves.iloc[0])
    assert read_model_file(tmp_path / "all/weights").epoch == 0
    one, two = (
        (tmp_path / name / "weights/model.safetensors").read_bytes() for name in ("alone", "all")
    )
    assert one == two


def test_the_first_layers_stay_where_a_share_is_frozen(
    small_line: SmallLine, tmp_path: Path, trained: Path
) -> None:
    from safetensors.torch import load_file

    weights = _as_starting_weights(trained)

    run(small_line.train(tmp_path, **weights, epochs=1, frozen_share=0.5, freeze_batch_norm=True))

    before, after = (
        load_file(folder / "weights/model.safetensors") for folder in (trained, tmp_path)
    )
    order = build_network("mini_resnet", n_classes=3, side_px=32).state_dict()
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in order))
    stays = {
        layer: all(
            torch.equal(before[name], after[name])
            for name in before
            if name.rpartition(".")[0] == layer
        )
        for layer in layers
    }
    n_frozen = len(layers) // 2
    assert all(stays[layer] for layer in layers[:n_frozen])
    assert not any(stays[layer] for layer in layers[n_frozen:])


def test_kept_weights_lie_between_the_start_and_the_trained_ones_as_start_share_says(
    small_line: SmallLine, tmp_path: Path, trained: Path
) -> None:
    from safetensors.torch import load_file

    options: dict[str, Any] = {
        **_as_starting_weights(trained),
        "epochs": 1,
        "freeze_batch_norm": True,
        "ema_half_life_epochs": 0,
        "peak_learning_rate": 1e-3,
    }

    for share in (0.0, 0.25):
        run(small_line.train(tmp_path / str(share), **options, start_share=share))

    start, end, kept = (
        load_file(folder / "weights/model.safetensors")
        for folder in (trained, tmp_path / "0.0", tmp_path / "0.25")
    )
    assert not torch.equal(start["head.weight"], end["head.weight"])
    for name in (name for name in start if start[name].is_floating_point()):
        torch.testing.assert_close(kept[name], 0.25 * start[name] + 0.75 * end[name])


def _as_starting_weights(trained: Path) -> dict[str, Any]:
    file = trained / "weights/model.safetensors"
    return {
        "weights": str(file),
        "weights_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }


def test_a_probe_finds_what_a_linear_head_can_find(small_line: SmallLine, trained: Path) -> None:
    """On a trained backbone with a fresh head: nearly as good as the head it was trained with."""
    from pipeline_lib.networks.saved_weights import load_weights
    from pipeline_lib.train.loop import validate

    recipe = RECIPES["quick"].changed(batch_size=16, probe_epochs=60, probe_learning_rate=0.03)
    network = build_network("mini_resnet", n_classes=3, side_px=32)
    load_weights(network, trained / "weights")
    torch.manual_seed(0)
    network.head.reset_parameters()  # type: ignore[operator, union-attr]
    model = Classifier(network, mean=recipe.mean, std=recipe.std)
    job = small_line.train(small_line.folder)
    rows = {
        split: SELECTION.read(job.reads["selection"] / f"{split}.parquet")
        for split in ("train", "val")
    }

    whiten_and_probe(
        model,
        recipe,
        objective=Objective(),
        open_still=lambda: open_images(job, rows["train"], recipe),
        device=CPU,
    )

    assert validate(model, open_images(job, rows["val"], recipe), CPU)[1] > 0.8


def test_a_head_that_is_no_linear_layer_is_probed_with_the_images(small_line: SmallLine) -> None:
    _, left = _prepared(
        small_line, RECIPES["photo"].changed(network="squeezenet1_1", probe_epochs=3, side_px=32)
    )

    assert left.probe_epochs == 3


def test_whitened_patches_have_unit_covariance(small_line: SmallLine) -> None:
    torch.manual_seed(0)
    layer, x_BCHW = (
        Whitening(),
        torch.randn(64, 3, 8, 8) * torch.tensor([1.0, 0.5, 2.0]).view(3, 1, 1),
    )

    layer.whiten(x_BCHW)

    y_BCHW = layer(x_BCHW)[:, :12]
    y_CN = y_BCHW.transpose(0, 1).flatten(1)
    torch.testing.assert_close(y_CN @ y_CN.T / y_CN.shape[1], torch.eye(12), atol=0.01, rtol=0)
