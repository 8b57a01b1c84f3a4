"""A step reads nothing from its device, or a GPU would stand still. The device here is torch's `meta`.

Its tensors have no values, so whatever wants one (`item`, `tolist`, `bool`, a copy to the host, a selection by a mask)
raises, and whatever mixes them with the host's tensors too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from pipeline_lib.loader import Batch
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.losses import Losses
from pipeline_lib.train.objective import Objective
from pipeline_lib.train.recipes import RECIPES
from pipeline_lib.train.soft_labels import SoftLabels
from pipeline_lib.train.teacher import Teacher

META = torch.device("meta")
BATCH = Batch(torch.zeros(16, 32, 32, 3, dtype=torch.uint8), torch.zeros(16).long(), torch.ones(16), torch.arange(16))
MIXED = {"mixup_alpha": 0.2, "cutmix_alpha": 1.0, "policy": "trivial", "micro_batches": 2, "clip_norm": 1.0}


def _on_meta(recipe: str, **changes: Any) -> tuple[Classifier, Any]:
    own = replace(RECIPES[recipe], ema_half_life_epochs=0.0, **changes)
    network = build_network("lenet" if recipe == "quick" else own.network, n_classes=3, side_px=32)
    return Classifier(network, mean=own.mean, std=own.std).to(META), own


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [("quick", MIXED | {"optimiser": "adamw", "first_layer_rate": 0.1}), ("cifar_speed", {})],
    ids=["mixed, clipped, in parts", "muon"],
)
def test_a_step_reads_nothing_from_its_device(recipe: str, changes: dict[str, Any]) -> None:
    model, own = _on_meta(recipe, **changes, ema_decay=0.9)
    teacher = Teacher(_on_meta("quick")[0].eval(), torch.arange(3, device=META), side_px=32)
    soft = SoftLabels(torch.zeros(2, 3, device=META), torch.zeros(16, device=META).long())
    objective = Objective(0.1, torch.zeros(3, device=META), soft, teacher, teacher_share=0.5)
    learner = Learner(model, own, phases(own)[-1], objective=objective, device=META)
    losses = Losses(META, [])

    for _ in range(2):
        learner.update(BATCH, rate=0.1, before=losses.add)

    assert losses.so_far == 0.0  # what the live line shows: not looked at yet
    with pytest.raises(NotImplementedError, match="meta"):
        losses.mean()
