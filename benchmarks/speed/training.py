"""What feeding costs, and what our training loop costs: images per second, in one process, in alternating rounds.

    python -m benchmarks.speed.training [--device auto] [--rounds 7] [--workers 0]

Ratios, each of neighbours in time. *Pipeline to synthetic*: the same update on batches from the betons and on batches
that lie in memory. *Resident to synthetic*: on images that stay on the device, flipped there. *Trainer to bare
loop*: our whole trainer (schedule, average, loss, progress, checkpoints, one small validation) and the dozen lines of
torch that anybody would write, for one short epoch, with what comes around its steps (the statistics of batch
normalisation for the average are estimated by both, over the epoch's images); both from memory and
uncompiled: compiling would take longer than all they do. Images are JPEG of 1/f^1.5 noise, never zeros. One round
of each to warm up, which compiles, is not counted. Every second round goes through the sides the other way round: a
shared machine's speed drifts. *Synthetic to statistics*: what estimating batch normalisation's statistics costs per
view, as a share of a training image. *Our step to a bare step*, on a CPU: the two alone, step by step in turn, which a
machine's drift does not reach.

On a CPU everything is counted in CPU seconds of the process and all its threads, since machines are shared: what
feeding takes is then what the step can no longer have. On a GPU it is the clock, the cases are larger, and there is
also *compiled to eager* and the peak of memory; the command is the same and meant to end within ten minutes, which no
GPU was available to try. Writes benchmarks/results/training.json (training_gpu.json on a GPU) after each case.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from benchmarks.support.competitors.stores import write_beton
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.harness.progress import Meter
from pipeline_lib.loader import Augmentation, Batch, BatchLoader, open_loader
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.device import choose_device
from pipeline_lib.train.batch_norm import estimate_statistics
from pipeline_lib.train.checkpoint import Checkpoints
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.loaders import copied_ahead
from pipeline_lib.train.loop import Loaders, train
from pipeline_lib.train.loss import EpochLoss, Objective
from pipeline_lib.train.recipes import RECIPES, Recipe

os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # as the stage harness does, before the first parallel region
N_CLASSES = 10
PAIRS, WARM_UP = 100, 5  # steps
AVERAGE_DECAY = 0.99  # of the moving average of the weights, per step
DISTINCT = 256  # images of noise; a beton holds each several times
RATIOS = (
    *(
        ("pipeline", "synthetic"),
        ("resident", "synthetic"),
        ("synthetic", "eager"),
        ("trainer", "bare loop"),
    ),
    (
        "synthetic",
        "statistics",
    ),  # what a view of the estimate costs, as a share of an image that is trained on
)


@dataclass(frozen=True)
class Case:
    """A network at a size. stored_px: side of the JPEG files. steps: in a round."""

    network: str
    side_px: int
    batch_size: int
    stored_px: int
    steps: int = 20

    @property
    def name(self) -> str:
        return f"{self.network}, {self.side_px} px, batch {self.batch_size}"

    @property
    def recipe(self) -> Recipe:
        """One epoch of the recipe `photo`."""
        size = {"network": self.network, "side_px": self.side_px, "batch_size": self.batch_size}
        return RECIPES["photo"].changed(epochs=1, **size)


CASES = {
    "cpu": (Case("mini_resnet", 32, 64, 48), Case("resnet18", 64, 32, 128, steps=6)),
    "cuda": (Case("resnet50", 224, 512, 500), Case("resnet18", 160, 1024, 256)),
}


class Replayed:
    """A BatchLoader that gives the same few batches again and again, `steps` of them."""

    kind = "memory"

    def __init__(self, batches: Sequence[Batch], image_ids: Sequence[str], steps: int) -> None:
        self.batches, self.image_ids, self.steps = batches, image_ids, steps

    def __len__(self) -> int:
        return self.steps

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        return (self.batches[step % len(self.batches)] for step in range(start, self.steps))

    def close(self) -> None:
        """Nothing to do."""


def noise(random: np.random.Generator, side_px: int) -> Image.Image:
    """Coloured noise whose spectrum falls as that of photographs does."""
    frequency = np.hypot(np.fft.fftfreq(side_px)[:, None], np.fft.fftfreq(side_px))
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(random.normal(size=(3, side_px, side_px))) / frequency**1.5
    waves = np.real(np.fft.ifft2(spectrum)).transpose(1, 2, 0)
    return Image.fromarray(
        ((waves - waves.mean()) / waves.std() * 50 + 128).clip(0, 255).astype(np.uint8)
    )


def write_noise(folder: Path, case: Case, *, count: int) -> pd.DataFrame:
    """`count` images in a beton."""
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number:05}.jpg"
        if number < DISTINCT:
            noise(random, case.stored_px).save(path, quality=90)
        else:
            shutil.copyfile(folder / f"{number % DISTINCT:05}.jpg", path)
    write_beton(sorted(folder.glob("*.jpg")), folder, params=ConvertParams(mode="jpg"))
    ids = [f"{number:05}" for number in range(count)]
    return pd.DataFrame({"image_id": ids, "label": np.arange(count) % N_CLASSES, "weight": 1.0})


def open_noise(
    folder: Path,
    rows: pd.DataFrame,
    case: Case,
    *,
    workers: int,
    stays_on: torch.device | None = None,
) -> BatchLoader:
    """Shown as the recipe `photo` shows them; those that stay on a device are only flipped."""
    crops = Augmentation(scale_min=case.recipe.scale_min, flip=case.recipe.flip)
    return open_loader(
        folder,
        rows,
        batch_size=case.batch_size,
        side_px=case.side_px,
        augmentation=Augmentation(flip=True) if stays_on else crops,
        shuffle=True,
        seed=0,
        drop_last=True,
        kind="resident" if stays_on else "auto",
        workers=workers,
        device=stays_on,
    )


def new_model(case: Case, device: torch.device) -> Classifier:
    network = build_network(case.network, n_classes=N_CLASSES, side_px=case.side_px)
    network.to(memory_format=torch.channels_last)
    return Classifier(network, mean=case.recipe.mean, std=case.recipe.std).to(device)


def new_learner(recipe: Recipe, case: Case, device: torch.device) -> Learner:
    (phase,) = phases(recipe)
    objective = Objective(label_smoothing=recipe.label_smoothing)
    return Learner(
        new_model(case, device),
        recipe,
        phase,
        objective=objective,
        device=device,
        average_decay=AVERAGE_DECAY,
    )


def updates(learner: Learner, batches: Iterator[Batch]) -> int:
    """Our update on each batch; returns the number of images."""
    learner.begin_epoch()
    losses, count = EpochLoss(learner.device, []), 0
    for batch in copied_ahead(batches, learner.device):
        learner.update(batch, rate=0.01, before=losses.add)
        count += len(batch.labels_B)
    return count


def bare_steps(case: Case, device: torch.device) -> tuple[AveragedModel, Callable[[Batch], None]]:
    """What one writes without a library for training: same network, optimiser, smoothing, average and precision."""
    model, recipe = new_model(case, device).train(), case.recipe
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=0.01,
        momentum=0.9,
        nesterov=True,
        weight_decay=recipe.weight_decay,
        fused=device.type == "cuda",
    )
    average = AveragedModel(
        model, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE_DECAY), use_buffers=True
    )

    def step(batch: Batch) -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            logits_BK = model(batch.images_BHWC.to(device, non_blocking=True))
            labels_B = batch.labels_B.to(device, non_blocking=True)
            loss = F.cross_entropy(logits_BK, labels_B, label_smoothing=recipe.label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        average.update_parameters(model)

    return average, step


def bare_loop(case: Case, batches: Iterator[Batch], device: torch.device) -> int:
    """A fresh model through the batches, and `update_bn` as torch's docs say; returns the number of images."""
    (average, step), seen, count = bare_steps(case, device), [], 0
    for batch in batches:
        step(batch)
        seen.append(batch.images_BHWC)
        count += len(batch.labels_B)
    update_bn(seen, average, device=device)
    return count


def step_ratios(
    case: Case, batches: Sequence[Batch], device: torch.device, *, pairs: int
) -> list[float]:
    """CPU time of a bare step by that of ours, in turn, now one first and now the other; 1: ours takes as long."""
    learner, losses = new_learner(case.recipe, case, device), EpochLoss(device, [])
    learner.begin_epoch()
    sides = {
        "bare": bare_steps(case, device)[1],
        "ours": partial(learner.update, rate=0.01, before=losses.add),
    }
    ratios = []
    for number in range(pairs + WARM_UP):
        took = {}
        for name in sorted(sides, reverse=bool(number % 2)):
            began = time.thread_time()
            sides[name](batches[number % len(batches)])
            took[name] = time.thread_time() - began
        ratios.append(took["bare"] / took["ours"])
    return ratios[WARM_UP:]


def trainer(case: Case, loader: Replayed, device: torch.device, folder: Path) -> int:
    """Our `train`, with checkpoints that are due every two minutes, and one batch to validate on."""
    checkpoints = Checkpoints(folder, every_s=120, stop_requested=threading.Event())
    meter = Meter("train", "images", len(loader) * case.batch_size, 30)
    small = Batch(*(tensor[:2] for tensor in vars(loader.batches[0]).values()))
    loaders = Loaders(train=loader, val=Replayed([small], loader.image_ids, 1))
    objective = Objective(label_smoothing=case.recipe.label_smoothing)
    train(
        new_model(case, device),
        case.recipe.changed(compile="off"),
        objective=objective,
        loaders=loaders,
        device=device,
        meter=meter,
        checkpoints=checkpoints,
    )
    return len(loader) * case.batch_size


def rate(work: Callable[[], int], device: torch.device) -> float:
    """Images per second, of the clock on a GPU, of the CPU's time without one."""
    clock = time.monotonic if device.type == "cuda" else time.process_time
    began = clock()
    count = work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return count / (clock() - began)


def measure(case: Case, device: torch.device, *, rounds: int, workers: int) -> list[Row]:
    """Alternating rounds of all sides."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = write_noise(folder, case, count=case.steps * case.batch_size)
        loader = open_noise(folder, rows, case, workers=workers)
        resident = open_noise(folder, rows, case, workers=workers, stays_on=device)
        memory = Replayed(list(loader.epoch(0))[:4], loader.image_ids, case.steps)
        learner = new_learner(case.recipe, case, device)
        sides: dict[str, Callable[[int], int]] = {
            "synthetic": lambda n: updates(learner, memory.epoch(n)),
            "pipeline": lambda n: updates(learner, loader.epoch(n)),
            "resident": lambda n: updates(learner, resident.epoch(n)),
            "statistics": lambda n: estimate_statistics(learner.model, memory.epoch(n), device),
            "bare loop": lambda n: bare_loop(case, memory.epoch(n), device),
            "trainer": lambda n: trainer(case, memory, device, folder),
        }
        if device.type == "cuda":
            eager = new_learner(case.recipe.changed(compile="off"), case, device)
            sides["eager"] = lambda n: updates(eager, memory.epoch(n))
        taken: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(rounds + 1):
            for name, side in list(sides.items())[
                :: 1 if number % 2 else -1
            ]:  # what drifts falls on both neighbours
                found = rate(lambda side=side, number=number: side(number), device)
                if number:
                    taken[name].append(found)
    for name, values in taken.items():
        print(f"{case.name}: {name} {statistics.median(values):.0f} images/s", flush=True)
    steps: list[Row] = []
    if device.type == "cpu":
        ratios = step_ratios(case, memory.batches, device, pairs=PAIRS)
        print(f"{case.name}: our step to a bare step {statistics.median(ratios):.3f}", flush=True)
        steps = [row(case.name, "our step to a bare step", "ratio", ratios)]
    unit = "images/s" if device.type == "cuda" else "images/CPU-s"
    result = [row(case.name, name, unit, values) for name, values in taken.items()]
    if device.type == "cuda":
        result.append(
            row(case.name, "peak memory", "GB", [torch.cuda.max_memory_allocated() / 1e9])
        )
    for over, under in RATIOS:
        if not {over, under} <= taken.keys():
            continue
        ratios = [one / other for one, other in zip(taken[over], taken[under], strict=True)]
        print(f"{case.name}: {over} to {under} {statistics.median(ratios):.3f}", flush=True)
        name = f"{over} to {under}".replace("synthetic to eager", "compiled to eager")
        result.append(row(case.name, name, "ratio", ratios))
    return [*result, *steps]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.training", description=__doc__
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds (default 7)")
    parser.add_argument("--workers", type=int, default=0, help="decoding threads; 0: every core")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a step (default 1)")
    options = parser.parse_args()
    device = choose_device(options.device, threads=options.threads, seed=0)
    torch.set_deterministic_debug_mode("default")
    workers = options.workers or len(os.sched_getaffinity(0))
    rows: list[Row] = []
    if device.type == "cuda":
        rows.append(row(torch.cuda.get_device_name(), "GPUs", "count", [torch.cuda.device_count()]))
    for case in CASES[device.type]:
        rows += measure(case, device, rounds=options.rounds, workers=workers)
        print(
            f"wrote {write_results('training_gpu' if device.type == 'cuda' else 'training', rows)}"
        )


if __name__ == "__main__":
    main()
