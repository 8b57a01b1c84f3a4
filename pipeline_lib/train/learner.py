"""One phase of training: a model, what trains in it, and one update. B images, K classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import nn

from pipeline_lib.errors import ConfigError
from pipeline_lib.loader import Batch
from pipeline_lib.networks.build import head_name, weighed_logits
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.train.batch_augmentation import BatchAugmentation, Mixed
from pipeline_lib.train.batch_norm import batch_norms, estimate_statistics
from pipeline_lib.train.distributed import average_buffers, averaging, together
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.optimiser import Average, Optimiser, build_optimiser
from pipeline_lib.train.recipes import Recipe

Output = torch.Tensor | tuple[torch.Tensor | None, ...]  # logits_BK, those of auxiliary heads behind
Forward = Callable[[torch.Tensor], Output]
COMPILER = "inductor"  # torch.compile's own default
MOST_SHAPES = 64  # of ten sizes, mixed and plain, whole and last parts, fewer come together


@dataclass(frozen=True)
class Phase:
    """Epochs with one optimiser: of the head alone (a linear probe), or of everything. budget_s: 0 is no limit."""

    epochs: int
    peak_learning_rate: float
    head_only: bool
    budget_s: float = 0.0


def phases(recipe: Recipe) -> list[Phase]:
    """The head alone where the recipe probes first, then everything. Each has its epochs' share of the time."""
    epoch_s = 60 * recipe.budget_minutes / (recipe.probe_epochs + recipe.epochs)
    probe = Phase(recipe.probe_epochs, recipe.probe_learning_rate, True, epoch_s * recipe.probe_epochs)
    whole = Phase(recipe.epochs, recipe.peak_learning_rate, False, epoch_s * recipe.epochs)
    return [probe, whole] if recipe.probe_epochs else [whole]


def precision(device: torch.device) -> AbstractContextManager[object]:
    """In which numbers a step computes: bfloat16 on a GPU, where torch thinks it safe, else float32."""
    return torch.autocast("cuda", dtype=torch.bfloat16) if device.type == "cuda" else nullcontext()


def compiled(module: nn.Module, wanted: Literal["auto", "on", "off"], device: torch.device) -> Forward:
    """What to call instead of `module`; names and weights stay the module's own.

    Compiled once for each shape: of a batch, of a last smaller part of it, of each size of growing pictures. What
    fails in the compiler is for `compiler_named` to say.
    """
    if wanted == "off" or (wanted == "auto" and device.type != "cuda"):
        return module
    torch._dynamo.config.recompile_limit = MOST_SHAPES  # beyond it torch goes on uncompiled, with a warning
    forward: Forward = torch.compile(module, dynamic=False, backend=COMPILER)
    return forward


@contextmanager
def compiler_named() -> Iterator[None]:
    """Raises ConfigError in place of what the compiler raises, in a forward pass or, for the other way, in backward."""
    try:
        yield
    except torch._dynamo.exc.TorchDynamoException as error:
        what, remedy = "the network cannot be compiled", "set train.compile to off"
        said = " ".join(str(error).splitlines()[:2])[:300]  # which compiler, and what it says
        raise ConfigError(what, file="params.yaml", value=said, remedy=remedy) from error


class Learner:
    """Changes `model` in place, and keeps a moving average of its weights where one is asked for.

    average_kept: the share of that average that a step keeps, 0..1; 0: no average.
    """

    def __init__(
        self,
        model: Classifier,
        recipe: Recipe,
        phase: Phase,
        *,
        objective: Objective,
        device: torch.device,
        average_kept: float = 0.0,
    ) -> None:
        self.model, self.recipe, self.phase, self.objective, self.device = model, recipe, phase, objective, device
        self.head = model.network.get_submodule(head_name(model.network))
        model.requires_grad_(not phase.head_only)
        self.head.requires_grad_(True)
        self.augment = BatchAugmentation(recipe, n_classes=len(next(self.head.parameters())))
        self.together = together(model)
        self.forward = compiled(self.together, recipe.compile, device)
        self.optimiser: Optimiser = build_optimiser(model.network, recipe)
        self.average: Average | None = None
        if average_kept:
            self.average = Average(model, kept=average_kept)

    def begin_epoch(self) -> None:
        """Training mode; a frozen backbone stays as it evaluates, or batch normalisation would move under the probe."""
        self.model.train(not self.phase.head_only)
        self.head.train()
        if self.recipe.freeze_batch_norm:
            for layer in batch_norms(self.model):
                layer.eval()

    def update(
        self, batch: Batch, *, rate: float, before: Callable[[torch.Tensor, Batch], object] | None = None
    ) -> torch.Tensor:
        """Take one step at learning rate `rate`; returns the batch's mean weighted loss, on the device.

        before: is shown the loss, and may raise, before any weight changes. Nothing here reads from the device, so the
        next step is prepared while a GPU computes this one; only a batch that is not on it yet (feed.py) is waited for.
        """
        images_BHWC, labels_B, weights_B, positions_B = (
            tensor.to(self.device) for tensor in (batch.images_BHWC, batch.labels_B, batch.weights_B, batch.positions_B)
        )
        targets = self.objective.targets(labels_B, positions_B)
        shown = self.augment(images_BHWC, targets, weights_B)
        self.optimiser.zero_grad()
        with compiler_named():
            loss = self._add_gradients(shown)
        if before is not None:
            before(loss, batch)
        if self.recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        self.optimiser.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return loss

    def _add_gradients(self, shown: Mixed) -> torch.Tensor:
        """The gradients of the mean loss, of one part of the batch after the other; returns that loss."""
        n, losses = len(shown.weights_B), []
        parts = torch.arange(n).tensor_split(self.recipe.micro_batches)  # sizes that differ by one at most
        for number, part in enumerate(parts, 1):
            rows = slice(int(part[0]), int(part[-1]) + 1)
            losses.append(self._add_gradients_of(shown, rows, last=number == len(parts)))
        return torch.stack(losses).sum()

    def _add_gradients_of(self, shown: Mixed, rows: slice, *, last: bool) -> torch.Tensor:
        """Those of some rows, averaged over the processes with the last part; returns their share of the loss."""
        with averaging(self.together, now=last):
            with precision(self.device):
                teacher_BK = self.objective.teacher_logits(shown.images_BHWC[rows])
                losses_B = sum(
                    share * self.objective.losses(logits_BK, shown.targets[rows], teacher_BK)
                    for share, logits_BK in weighed_logits(self.forward(shown.images_BHWC[rows]))
                )
            weights_B = shown.weights_B[rows]
            loss = (losses_B * weights_B).mean() * (len(weights_B) / len(shown.weights_B))
            loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """All that updates change, for a checkpoint: tensors on the device, no copies."""
        average = self.average.state_dict() if self.average is not None else {}
        return {"model": self.model.state_dict(), "average": average, "optimiser": self.optimiser.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])

    def own_state(self) -> dict[str, torch.Tensor]:
        """The buffers, in which processes that train together differ until the end of the epoch."""
        return {name: tensor.detach().cpu() for name, tensor in self.model.network.named_buffers()}

    def load_own_state(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `own_state` gave."""
        for name, tensor in self.model.network.named_buffers():
            tensor.copy_(state[name])

    def end_epoch(self, views: Iterable[Batch]) -> None:
        """Make the judged model ready to evaluate, with the statistics of its own weights over training views.

        Each process looks at its own views and all agree on the mean. What is frozen keeps its statistics.
        """
        if self.average is not None:
            self.average.copy_buffers(self.model)
        if not (self.phase.head_only or self.recipe.freeze_batch_norm):
            estimate_statistics(self.judged, views, self.device)
        average_buffers(self.judged.network)

    @property
    def judged(self) -> Classifier:
        """The model to validate and keep: the average, or the model itself without one."""
        return self.model if self.average is None else cast(Classifier, self.average.module)
