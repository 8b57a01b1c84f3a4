"""What `perennial init` says of time and disk: a trial on this machine, scaled to all images."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline_lib.harness.line import STAGES
from pipeline_lib.params import LineParams, check_params
from pipeline_lib.settings import Settings
from pipeline_lib.survey import CostTrial, Survey, describe_estimate, scale, survey, try_out
from pipeline_lib.train.cost import StepCost
from testing.sources import tar_of

TRIAL = CostTrial(
    n=50,
    kept_bytes=10_000,
    weights_bytes=40_000_000,
    prepare_s=0.04,
    step=StepCost(step_s=0.02, look_s=0.005),
)
SOURCES = {"sources": [{"name": "mine", "uri": "pics.tar"}]}


def params(**train: object) -> LineParams:
    empty: dict[str, object] = {stage: {} for stage in STAGES}
    return check_params(Path("params.yaml"), {**empty, "discover": SOURCES, "train": train})


def noise(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(
        np.random.default_rng(number).integers(0, 256, (48, 40, 3), dtype=np.uint8)
    ).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def found(tmp_path: Path) -> Survey:
    tar_of(
        tmp_path / "pics.tar",
        {f"{label}/{n}.png": noise(n) for label in ("cat", "dog") for n in range(4)},
    )
    return survey("pics.tar", Settings(), root=tmp_path)


def test_the_trial_decodes_what_was_sampled_and_takes_a_step(found: Survey) -> None:
    trial = try_out(found, params(side_px=32), Settings(device="cpu"))

    assert trial is not None
    assert trial.n == 8
    assert trial.kept_bytes == 48 * 40 * 3  # small images are kept as pixels
    assert min(trial.prepare_s, trial.step.step_s, trial.step.look_s) > 0
    assert 4 * 70_000 < trial.weights_bytes < 4 * 90_000  # mini_resnet has 78,000 weights


def test_nothing_is_estimated_from_images_that_cannot_be_decoded(found: Survey) -> None:
    torn = tuple(
        replace(one, first=lambda size_bytes: b"\x89PNG"[:size_bytes]) for one in found.samples
    )

    assert try_out(replace(found, samples=torn), params(), Settings()) is None


def test_an_estimate_is_the_trial_times_images_and_passes(found: Survey) -> None:
    """1,000 images: 200 test, 100 val, 700 train, 10 epochs: 7,000 updates; 10 x (100 + 700) answers, to validate and
    for the statistics of batch normalisation; 2 x 700 in the check at the end."""
    estimate = scale(
        TRIAL, replace(found, n_images=1000, size_bytes=5_000_000), params(epochs=10), workers=2
    )

    assert estimate.train_s == pytest.approx(7000 * 0.02 + (8000 + 1400) * 0.005)
    assert estimate.prepare_s == pytest.approx(1000 * 0.04 / 2 + 1000 * 0.0017)
    assert estimate.betons_bytes == 10_000_000
    assert estimate.size_bytes == pytest.approx(5e6 + 1e7 + 6e6 + 24e7)


def test_a_probe_looks_at_each_training_image_once_more_and_growing_images_cost_less(
    found: Survey,
) -> None:
    some, network = replace(found, n_images=1000), {"weights": "w.pth", "weights_sha256": "0" * 64}

    probed = scale(TRIAL, some, params(recipe="finetune", epochs=1, **network), workers=1)
    growing = scale(
        TRIAL, some, params(recipe="resnet-16", epochs=9, side_px=192, train_from_px=96), workers=1
    )

    # The probe is validated too, and the kept model checked on its training images.
    assert probed.train_s == pytest.approx(700 * 0.02 + (100 + 700 + 100 + 700) * 0.005)
    assert growing.train_s < 9 * (700 * 0.02 + 800 * 0.005) + 1400 * 0.005


def test_people_read_ranges_and_what_they_rest_on(found: Survey) -> None:
    estimate = scale(
        TRIAL, replace(found, n_images=1000, size_bytes=5_000_000), params(epochs=10), workers=2
    )

    said = describe_estimate(estimate, free_bytes=10**8, is_remote=True).splitlines()

    assert said == [
        "disk     about 260 MB: 5 MB as received, 10 MB as training reads them, the rest model and tables; 100 MB free."
        " Too little: free some, or set convert.short_side_px to keep less",
        "time     about 3 to 6 minutes, of it 2 to 5 minutes of training; 50 images and one training step were tried"
        " on this machine, fetching not counted",
    ]
