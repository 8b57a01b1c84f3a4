"""Every family that torchvision classifies with trains two steps, goes on from a saved state, and exports to ONNX.

    python -m benchmarks.robustness.families

One small member of each, on random images of the least side that fits; writes benchmarks/results/families.json. A
step that follows a saved state must give the weights of an undisturbed one, bit for bit; the exported network must
answer as torch does (probabilities within 0.001), or the benchmark stops.
"""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import torch

from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.evaluate.export import export_onnx, measure_parity
from pipeline_lib.loader import Batch
from pipeline_lib.networks.build import build_network, drop_auxiliary_heads
from pipeline_lib.networks.classifier import Calibrated, Classifier
from pipeline_lib.networks.exported import load_exported
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.preflight import LEAST_VALUES
from pipeline_lib.train.recipes import HALF, RECIPES

# Small ones first: what was written stands when the time is up.
SIDES = {
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 32,
    "mobilenet_v3_small": 32,
    "mnasnet0_5": 64,
    "resnet18": 32,
}
SIDES |= {
    "mobilenet_v2": 32,
    "regnet_y_400mf": 32,
    "googlenet": 32,
    "efficientnet_b0": 32,
    "vit_s_16": 32,
}
SIDES |= {
    "densenet121": 32,
    "inception_v3": 75,
    "swin_t": 32,
    "convnext_tiny": 32,
    "resnext50_32x4d": 32,
}
SIDES |= {"swin_v2_t": 32, "alexnet": 64, "wide_resnet50_2": 32, "maxvit_t": 224, "vgg11": 32}
RECIPE = RECIPES["photo"].changed(ema_half_life_epochs=0.0)


def main() -> None:
    torch.set_num_threads(1)
    rows: list[Row] = []
    for name, side_px in SIDES.items():
        rows += _rows(name, side_px)
        write_results("families", rows, also=["onnx", "onnxruntime"])


def _rows(name: str, side_px: int) -> list[Row]:
    torch.manual_seed(0)
    n = 3 if side_px >= 64 else LEAST_VALUES  # at a small side the last feature maps have one pixel
    images_BHWC = torch.randint(0, 256, (n, side_px, side_px, 3), dtype=torch.uint8)
    batch = Batch(images_BHWC, torch.arange(n) % 3, torch.ones(n), torch.arange(n))
    learner = _learner(name, side_px)
    learner.update(batch, rate=1e-3)
    state, drawn = copy.deepcopy(learner.state()), torch.get_rng_state()
    learner.update(batch, rate=1e-3)

    again = _learner(name, side_px)
    again.load_state(state)
    torch.set_rng_state(drawn)
    again.update(batch, rate=1e-3)
    pairs = zip(learner.model.state_dict().values(), again.model.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs), f"{name} does not resume"

    drop_auxiliary_heads(learner.model.network)
    difference = _exported_difference(learner.model, name, side_px, images_BHWC)
    n_weights = sum(weight.numel() for weight in learner.model.parameters())
    print(
        f"{name:20} {n_weights / 1e6:6.1f} M weights, resumes, ONNX differs by {difference:.1e}",
        flush=True,
    )
    return [
        row(name, "weights", "million", [n_weights / 1e6]),
        row(name, "largest difference of a probability under ONNX", "", [difference]),
    ]


def _learner(name: str, side_px: int) -> Learner:
    torch.manual_seed(1)
    network = build_network(name, n_classes=3, side_px=side_px, auxiliary=True)
    model = Classifier(network, mean=HALF, std=HALF)
    learner = Learner(
        model, RECIPE, phases(RECIPE)[-1], objective=Objective(), device=torch.device("cpu")
    )
    learner.begin_epoch()
    return learner


def _exported_difference(
    model: Classifier, name: str, side_px: int, images_BHWC: torch.Tensor
) -> float:
    about = ModelFile(
        network=name, classes=("a", "b", "c"), names=("a", "b", "c"), side_px=side_px, mean=HALF, std=HALF,
        pixels={}, recipe={}, parent=None, epoch=1,
    )  # fmt: skip
    calibrated = Calibrated(model, temperature=1.0)
    with tempfile.TemporaryDirectory() as folder:
        about.write(Path(folder))
        export_onnx(calibrated, Path(folder), side_px=side_px)
        return measure_parity(
            calibrated, load_exported(Path(folder), threads=1), images_BHWC.numpy()
        ).max_abs_dp


if __name__ == "__main__":
    main()
