"""What is called unlike the training images: against numpy's inverse, a count, a simulation and the real export."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from pipeline_lib.errors import BadData
from pipeline_lib.evaluate.export import export_onnx, measure_parity
from pipeline_lib.evaluate.run import run
from pipeline_lib.evaluate.unlike import (
    LEAST_VALIDATION,
    MOST_DIRECTIONS,
    MOST_DISTANCES,
    Rank,
    Remarking,
    draw_evenly,
    fit_spread,
    promised_false_alarms,
    unit_length,
    watch_features,
    why_not,
)
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Calibrated, Classifier
from pipeline_lib.networks.exported import UNLIKE_BORDER, load_exported
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.tables.selection import SELECTION
from testing.small_line import SmallLine

RANDOM = np.random.default_rng(3)
HALF = (0.5, 0.5, 0.5)


def features(n: int, n_features: int) -> torch.Tensor:
    scales = np.linspace(0.2, 2, n_features)
    return torch.from_numpy(RANDOM.normal(1, scales, (n, n_features))).float()


@pytest.mark.parametrize(("n", "n_features"), [(400, 5), (400, 90), (30, 90)])
def test_distances_are_those_by_the_inverse_of_the_whole_covariance(
    n: int, n_features: int
) -> None:
    trained, asked = features(n, n_features), features(20, n_features) + 1
    x_NF = unit_length(trained.double()).numpy()
    variances, directions = np.linalg.eigh(np.cov(x_NF.T, bias=True))
    kept = min(MOST_DIRECTIONS, n // 2, n_features)
    variances[: n_features - kept] = (
        variances[: n_features - kept].mean() if kept < n_features else 0
    )
    inverse = np.linalg.inv(directions @ np.diag(variances) @ directions.T)
    off_BF = unit_length(asked.double()).numpy() - x_NF.mean(0)

    found = fit_spread(trained)(asked)

    expected = np.einsum("bf,fg,bg->b", off_BF, inverse, off_BF)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3)


def test_features_that_never_vary_divide_nothing_by_zero() -> None:
    constant = torch.ones(40, 8)

    assert torch.isfinite(fit_spread(constant)(torch.cat([constant, torch.zeros(1, 8)]))).all()


def test_a_share_counts_the_validation_images_at_least_as_far_and_the_image_itself() -> None:
    few, many = (torch.from_numpy(RANDOM.normal(0, 1, n)).float() for n in (30, 5000))
    asked = torch.cat([few[:5], torch.linspace(-3, 3, 50)])

    for known in (few, many):
        counted = (1 + (known >= asked[:, None]).sum(1)) / (1 + len(known))
        found = Rank(known)(asked)

        assert (found >= counted - 1e-6).all(), "called unlike more often than 5 % allows"
        assert (found - counted).max() <= 1 / MOST_DISTANCES


def test_nineteen_validation_images_can_call_one_unlike_and_eighteen_cannot() -> None:
    farther = torch.tensor([99.0])

    assert Rank(torch.arange(19.0))(farther) <= UNLIKE_BORDER
    assert Rank(torch.arange(18.0))(farther) > UNLIKE_BORDER
    assert why_not(n_validation=LEAST_VALIDATION, n_training=500) == ""
    assert "18 validation images are too few to tell; 19 are needed" in why_not(
        n_validation=18, n_training=500
    )


@pytest.mark.parametrize("n", [20, 75])
def test_the_promised_false_alarms_are_those_of_a_simulation(n: int) -> None:
    known = np.sort(RANDOM.normal(0, 1, (20_000, n)))
    k = int((n + 1) / 20)
    alarms = stats.norm.sf(known[:, n - k])

    found = promised_false_alarms(n)

    assert found.mean == pytest.approx(alarms.mean(), abs=0.002)
    low, high = np.quantile(alarms, [0.025, 0.975])
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=0.005)


def test_the_draw_has_every_class_and_keeps_its_images_when_others_join() -> None:
    rows = pd.DataFrame({"image_id": [f"s/{n}" for n in range(300)], "label": 0})
    rows.loc[290:, "label"] = 1

    few, some = draw_evenly(rows, 1), draw_evenly(rows, 40)
    more = pd.concat([rows, rows.iloc[:50].assign(image_id=[f"t/{n}" for n in range(50)])])

    assert sorted(few["label"]) == [0, 1]
    assert some["label"].value_counts().to_dict() == {0: 30, 1: 10}
    again = draw_evenly(more.reset_index(drop=True), 40)
    assert len(set(again["image_id"]) - set(some["image_id"])) < 15


@pytest.mark.parametrize("name", ["squeezenet1_1", "mini_resnet"])
def test_the_export_repeats_the_shares_whatever_the_head(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network(name, n_classes=3, side_px=32).eval()
    calibrated = Calibrated(Classifier(network, mean=HALF, std=HALF), temperature=1.0)
    images_BHWC = torch.randint(0, 256, (96, 32, 32, 3), dtype=torch.uint8)
    with torch.no_grad(), watch_features(calibrated.classifier) as take:
        calibrated(images_BHWC)
        seen = take()
    spread = fit_spread(seen[:32])
    model = Remarking(calibrated, spread, Rank(spread(seen[32:64])))
    _about(name).write(tmp_path)

    export_onnx(model, tmp_path, side_px=32)
    exported = load_exported(tmp_path, threads=1)

    assert measure_parity(model, exported, images_BHWC[64:].numpy()).mean_abs_dunlike < 1e-3
    other = Remarking(calibrated, spread, Rank(torch.full((32,), 1e9)))
    with pytest.raises(BadData, match="does not repeat torch .found: `unlike` differs by"):
        measure_parity(other, exported, images_BHWC.numpy())


def test_noise_is_called_unlike_and_few_test_images_are(evaluated: Path) -> None:
    model = load_exported(evaluated / "export")
    noise = RANDOM.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    metrics = json.loads((evaluated / "metrics.json").read_text())
    note = json.loads((evaluated / "export/unlike.json").read_text())

    shares = model.answers(noise).shares()

    assert all(share is not None and share <= UNLIKE_BORDER for share in shares)
    assert metrics["test"]["unlike"] <= 0.15
    assert note["n_training"] == 60 and note["n_validation"] == 24
    assert note["on_test"]["unlike"] == metrics["test"]["unlike"]
    assert "unlike" not in metrics["val"]


def test_of_few_validation_images_it_says_why_nothing_is_called_unlike(
    small_line: SmallLine, trained: Path, tmp_path: Path
) -> None:
    job = small_line.evaluate(trained / "weights", tmp_path)
    shutil.copytree(small_line.folder / "selection", tmp_path / "selection")
    val = tmp_path / "selection/val.parquet"
    SELECTION.write(SELECTION.read(val).iloc[:18], val)
    job.reads["selection"] = tmp_path / "selection"

    run(job)
    model = load_exported(tmp_path / "export")

    assert model.no_unlike == "18 validation images are too few to tell; 19 are needed"
    assert model.answers(np.zeros((1, 32, 32, 3), np.uint8)).shares() == [None]
    assert "unlike" not in json.loads((tmp_path / "metrics.json").read_text())["test"]


def test_an_older_export_answers_and_says_that_it_cannot_tell(
    evaluated: Path, tmp_path: Path
) -> None:
    network = build_network("lenet", n_classes=3, side_px=32)
    _about("lenet").write(tmp_path)
    export_onnx(
        Calibrated(Classifier(network, mean=HALF, std=HALF), temperature=1.0), tmp_path, side_px=32
    )

    model = load_exported(tmp_path)
    (tmp_path / "unlike.json").write_text("{}")

    assert "exported before that was measured; `dvc repro evaluate`" in model.no_unlike
    assert model.answers(np.zeros((2, 32, 32, 3), np.uint8)).shares() == [None, None]
    with pytest.raises(BadData, match=r"unlike.json: does not say why .*Remedy: run `dvc repro"):
        load_exported(tmp_path)


def _about(network: str) -> ModelFile:
    return ModelFile(
        network=network, classes=("a", "b", "c"), names=("a", "b", "c"), side_px=32, mean=HALF, std=HALF,
        pixels={}, recipe={}, parent=None, epoch=1,
    )  # fmt: skip
