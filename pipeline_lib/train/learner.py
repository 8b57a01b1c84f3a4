"""One phase of training: a model, which of its weights train, and one update. B images, K classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from pipeline_lib.errors import ConfigError
from pipeline_lib.loader import Batch
from pipeline_lib.networks.build import head_name, weighed_logits
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.train.batch_augmentation import AugmentedBatch, BatchAugmentation
from pipeline_lib.train.batch_norm import batch_norms, estimate_statistics
from pipeline_lib.train.distributed import average_buffers, data_parallel, gradient_sync
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.optimiser import Optimiser, build_optimiser, freeze_first_layers
from pipeline_lib.train.recipes import Recipe
from pipeline_lib.train.weight_average import Average, Blend

Output = Tensor | tuple[Tensor | None, ...]  # logits_BK, those of auxiliary heads behind
Forward = Callable[[Tensor], Output]
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
    # The same time for an epoch of either kind.
    epoch_s = 60 * recipe.budget_minutes / max(1, recipe.probe_epochs + recipe.epochs)
    probe = Phase(
        epochs=recipe.probe_epochs,
        peak_learning_rate=recipe.probe_learning_rate,
        head_only=True,
        budget_s=epoch_s * recipe.probe_epochs,
    )
    whole = Phase(
        epochs=recipe.epochs,
        peak_learning_rate=recipe.peak_learning_rate,
        head_only=False,
        budget_s=epoch_s * recipe.epochs,
    )
    return [probe, whole] if recipe.probe_epochs else [whole]


def precision(device: torch.device) -> AbstractContextManager[object]:
    """The number format that a step computes in: bfloat16 on a GPU, where torch thinks it safe, else float32."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def compiled(
    module: nn.Module, wanted: Literal["auto", "on", "off"], device: torch.device
) -> Forward:
    """Compile `module`'s forward pass where that is wanted; names and weights stay the module's own.

    Compiled once for each shape: of a batch, of a last smaller part of it, of each size of growing images. Compiler
    failures are reported by `compiler_named`.
    """
    if wanted == "off" or (wanted == "auto" and device.type != "cuda"):
        return module
    # Beyond this number torch continues uncompiled, with a warning.
    torch._dynamo.config.recompile_limit = MOST_SHAPES
    forward: Forward = torch.compile(module, dynamic=False, backend=COMPILER)
    return forward


@contextmanager
def compiler_named() -> Iterator[None]:
    """Raises ConfigError in place of what the compiler raises, in the forward or the backward pass."""
    try:
        yield
    except torch._dynamo.exc.TorchDynamoException as error:
        what, remedy = "the network cannot be compiled", "set train.compile to off"
        said = " ".join(str(error).splitlines()[:2])[:300]  # which compiler, and what it says
        raise ConfigError(
            what,
            file="params.yaml",
            value=said,
            remedy=remedy,
        ) from error


class Learner:
    """Updates `model` in place, and keeps a moving average of its weights, or a blend with the first, where asked for.

    average_decay: of that average per step, 0..1; 0: no average.
    """

    def __init__(
        self,
        model: Classifier,
        recipe: Recipe,
        phase: Phase,
        *,
        objective: Objective,
        device: torch.device,
        average_decay: float = 0.0,
    ) -> None:
        self.model = model
        self.recipe = recipe
        self.phase = phase
        self.objective = objective
        self.device = device

        # A probe trains the head alone.
        self.head = model.network.get_submodule(head_name(model.network))
        model.requires_grad_(not phase.head_only)
        freeze_first_layers(model.network, recipe.frozen_share)
        self.head.requires_grad_(True)
        n_classes = len(next(self.head.parameters()))

        self.augment = BatchAugmentation(recipe, n_classes=n_classes)
        self.parallel = data_parallel(model)
        self.forward = compiled(self.parallel, recipe.compile, device)
        self.optimiser: Optimiser = build_optimiser(model.network, recipe)
        self.average: Average | None = None
        if average_decay:
            self.average = Average(model, decay=average_decay)
        self.blend: Blend | None = None
        if recipe.start_share and not phase.head_only:
            self.blend = Blend(model, share=recipe.start_share)

    def begin_epoch(self) -> None:
        """Set the training mode.

        A frozen backbone stays in evaluation mode, or batch normalisation would move under the probe.
        """
        self.model.train(not self.phase.head_only)
        self.head.train()
        if self.recipe.freeze_batch_norm:
            for layer in batch_norms(self.model):
                layer.eval()

    def update(
        self, batch: Batch, *, rate: float, before: Callable[[Tensor, Batch], object] | None = None
    ) -> Tensor:
        """Take one step at learning rate `rate`; returns the batch's mean weighted loss, on the device.

        before: called with the loss before any weight changes; it may raise. Nothing here reads from the device, so the
        next step is prepared while a GPU computes this one; only a batch that is not on the device yet is waited for.
        """
        images_BHWC = batch.images_BHWC.to(self.device)
        labels_B = batch.labels_B.to(self.device)
        weights_B = batch.weights_B.to(self.device)
        positions_B = batch.positions_B.to(self.device)

        # Forward and backward.
        targets = self.objective.targets(labels_B, positions_B)
        augmented = self.augment(images_BHWC, targets, weights_B)
        self.optimiser.zero_grad()
        with compiler_named():
            loss = self._add_gradients(augmented)
        if before is not None:
            before(loss, batch)

        # The step itself: each group of layers has its share of the learning rate.
        if self.recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        self.optimiser.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return loss

    def _add_gradients(self, batch: AugmentedBatch) -> Tensor:
        """Add the gradients of the mean loss, of one part of the batch after the other; returns that loss."""
        losses: list[Tensor] = []
        parts = torch.arange(len(batch.weights_B)).tensor_split(self.recipe.micro_batches)
        for number, part in enumerate(parts, 1):
            rows = slice(int(part[0]), int(part[-1]) + 1)
            losses.append(self._add_gradients_of(batch, rows, is_last_part=number == len(parts)))
        return torch.stack(losses).sum()

    def _add_gradients_of(
        self, batch: AugmentedBatch, rows: slice, *, is_last_part: bool
    ) -> Tensor:
        """Add the gradients of these rows; all-reduce on the last part. Returns the rows' share of the loss."""
        images_BHWC = batch.images_BHWC[rows]
        targets = batch.targets[rows]
        weights_B = batch.weights_B[rows]
        with gradient_sync(self.parallel, is_last_part=is_last_part):
            with precision(self.device):
                teacher_BK = self.objective.teacher_logits(images_BHWC)
                # Auxiliary heads have a loss of their own.
                losses_B = sum(
                    share * self.objective.losses(logits_BK, targets, teacher_BK)
                    for share, logits_BK in weighed_logits(self.forward(images_BHWC))
                )
            share_of_batch = len(weights_B) / len(batch.weights_B)
            loss = (losses_B * weights_B).mean() * share_of_batch
            loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """All that updates change, for a checkpoint: tensors on the device, no copies."""
        average = self.average.state_dict() if self.average is not None else {}
        blend = self.blend.state_dict() if self.blend is not None else {}
        return {
            "model": self.model.state_dict(),
            "average": average,
            "blend": blend,
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from a `state`."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if self.blend is not None:
            self.blend.load_state_dict(state["blend"])

    def buffers_state(self) -> dict[str, Tensor]:
        """The buffers, in which processes that train together differ until the end of the epoch."""
        return {name: tensor.detach().cpu() for name, tensor in self.model.network.named_buffers()}

    def load_buffers_state(self, state: dict[str, Tensor]) -> None:
        """Continue from a `buffers_state`."""
        for name, tensor in self.model.network.named_buffers():
            tensor.copy_(state[name])

    def end_epoch(self, views: Iterable[Batch]) -> None:
        """Prepare `evaluated` for evaluation, with the statistics of its own weights over training views.

        Each process looks at its own views and all agree on the mean. What is frozen keeps its statistics.
        """
        if self.average is not None:
            self.average.copy_buffers(self.model)
        if self.blend is not None:
            self.blend.update(self._trained)
        keeps_statistics = self.phase.head_only or self.recipe.freeze_batch_norm
        if not keeps_statistics:
            estimate_statistics(self.evaluated, views, self.device)
        average_buffers(self.evaluated.network)

    @property
    def evaluated(self) -> Classifier:
        """The model to validate and keep: the blend with the start, the average, or the model itself without any."""
        return cast(Classifier, self.blend.module) if self.blend is not None else self._trained

    @property
    def _trained(self) -> Classifier:
        """The average, or the model itself without one."""
        return self.model if self.average is None else cast(Classifier, self.average.module)
