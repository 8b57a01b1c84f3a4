"""What a GPU needs, tried without one: steps that wait for nothing, and a compiled network.

A step reads nothing from its device, or a GPU would stand still. The device is torch's `meta` here, whose tensors have
no values: whatever wants one (`item`, `tolist`, `bool`, a copy to the host, a selection by a mask) raises, and whatever
mixes them with the host's tensors too. Copies from the host are counted; a list made into a tensor on the device, as
torchvision's policies do, is not seen. The compiler's backend traces and generates no code: that takes minutes here.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pipeline_lib.errors import ConfigError
from pipeline_lib.loader import Batch
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.small import lenet
from pipeline_lib.train import learner as learner_module
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.loss import EpochLoss, Objective
from pipeline_lib.train.recipes import RECIPES
from pipeline_lib.train.soft_targets import SoftLabels, Teacher

META = torch.device("meta")
BATCH = Batch(
    torch.zeros(16, 32, 32, 3, dtype=torch.uint8),
    torch.zeros(16).long(),
    torch.ones(16),
    torch.arange(16),
)
MIXED = {
    "mixup_alpha": 0.2,
    "cutmix_alpha": 1.0,
    "policy": "trivial",
    "micro_batches": 2,
    "clip_norm": 1.0,
}


class FromTheHost(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes what brings a tensor of the host to the device: a GPU would be waited for, `meta` is not."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.brought: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        given, got = (
            {one.device.type for one in tree_leaves(tree) if isinstance(one, torch.Tensor)}
            for tree in ((args, kwargs), found)
        )
        if "cpu" in given and "meta" in got:
            self.brought.append(str(func))
        return found


def _on_meta(recipe: str, **changes: Any) -> tuple[Classifier, Any]:
    own = RECIPES[recipe].changed(**changes)
    network = build_network("lenet" if recipe == "quick" else own.network, n_classes=3, side_px=32)
    return Classifier(network, mean=own.mean, std=own.std).to(META), own


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [("quick", MIXED | {"optimiser": "adamw", "first_layer_rate": 0.1}), ("cifar_speed", {})],
    ids=["mixed, clipped, in parts", "muon"],
)
def test_a_step_reads_nothing_from_its_device(recipe: str, changes: dict[str, Any]) -> None:
    model, own = _on_meta(recipe, **changes)
    teacher = Teacher(_on_meta("quick")[0].eval(), torch.arange(3, device=META), side_px=32)
    soft = SoftLabels(torch.zeros(2, 3, device=META), torch.zeros(16, device=META).long())
    objective = Objective(0.1, torch.zeros(3, device=META), soft, teacher, teacher_share=0.5)
    learner = Learner(
        model, own, phases(own)[-1], objective=objective, device=META, average_decay=0.9
    )
    losses = EpochLoss(META, [])
    there = Batch(*(tensor.to(META) for tensor in vars(BATCH).values()))

    with FromTheHost() as host:
        for _ in range(2):
            learner.update(there, rate=0.1, before=losses.add)

    assert host.brought == []
    assert losses.so_far == 0.0  # what the live line shows: not looked at yet
    with pytest.raises(NotImplementedError, match="meta"):
        losses.mean()


IMAGES = Batch(
    torch.arange(6 * 3072).view(6, 32, 32, 3).byte(),
    torch.arange(6) % 3,
    torch.ones(6),
    torch.arange(6),
)


def _learner(choice: Any) -> Learner:
    torch.manual_seed(0)
    recipe = RECIPES["quick"].changed(compile=choice)
    model = Classifier(lenet(3), mean=recipe.mean, std=recipe.std)
    return Learner(
        model, recipe, phases(recipe)[-1], objective=Objective(), device=torch.device("cpu")
    )


def test_a_compiled_training_moves_and_names_the_weights_as_a_plain_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learner_module, "COMPILER", "eager")
    compiled, plain = (_learner(choice) for choice in ("on", "auto"))

    for one in (compiled, plain):
        one.update(IMAGES, rate=0.1)
    going_on = _learner("off")
    going_on.load_state(compiled.state())
    for one in (compiled, plain, going_on):
        one.update(IMAGES, rate=0.1)

    states = [one.evaluated.state_dict() for one in (compiled, plain, going_on)]
    assert states[0].keys() == states[1].keys()
    assert all(
        torch.equal(value, state[name]) for state in states for name, value in states[0].items()
    )


def test_a_network_that_cannot_be_compiled_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(graph: object, inputs: object) -> None:
        raise RuntimeError("no C compiler")

    monkeypatch.setattr(learner_module, "COMPILER", fail)

    with pytest.raises(
        ConfigError, match="cannot be compiled .*no C compiler.*set train.compile to off"
    ):
        _learner("on").update(IMAGES, rate=0.1)
