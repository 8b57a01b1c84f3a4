"""What feeding costs, and what our training loop costs: pictures per second, in one process, in alternating rounds.

    python -m benchmarks.training [--device auto] [--rounds 7] [--steps 20] [--workers 0]

Two ratios per case, each of neighbours in time. *Pipeline to synthetic*: the same update on batches from the betons and
on batches that lie in memory. *Trainer to bare loop*: our whole trainer (schedule, average, loss, progress,
checkpoints, one small validation) and the dozen lines of torch that anybody would write, both from memory. Pictures are
JPEG of 1/f^1.5 noise, never zeros. One round of each to warm up is not counted.

On a CPU everything is counted in CPU seconds of the process and all its threads, since machines are shared: what
feeding takes is then what the step can no longer have. On a GPU it is the clock, and the cases are larger; the command
is the same.
Writes benchmarks/results/training.json (training_gpu.json on a GPU).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.competitors.stores import write_beton
from benchmarks.results_file import Row, row, write_results
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.loader import Augmentation, Batch, BatchLoader, open_loader
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.device import open_device
from pipeline_lib.progress import Meter
from pipeline_lib.train.checkpoint import Checkpoints
from pipeline_lib.train.feed import fed
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.loop import Loaders, train
from pipeline_lib.train.losses import Losses
from pipeline_lib.train.objective import Objective
from pipeline_lib.train.recipes import RECIPES, Recipe

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the stage harness does, before the first parallel region
N_CLASSES = 10


@dataclass(frozen=True)
class Case:
    """A network at a size. stored_px: side of the JPEG files."""

    network: str
    side_px: int
    batch_size: int
    stored_px: int

    @property
    def name(self) -> str:
        return f"{self.network}, {self.side_px} px, batch {self.batch_size}"

    @property
    def recipe(self) -> Recipe:
        """One epoch of the recipe `photo`."""
        size = {"network": self.network, "side_px": self.side_px, "batch_size": self.batch_size}
        return replace(RECIPES["photo"], epochs=1, **size)


CASES = {
    "cpu": (Case("mini_resnet", 32, 64, 48), Case("resnet18", 64, 32, 128)),
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
    return Image.fromarray(((waves - waves.mean()) / waves.std() * 50 + 128).clip(0, 255).astype(np.uint8))


def open_noise(folder: Path, case: Case, *, count: int, workers: int) -> BatchLoader:
    """`count` pictures in a beton, shown as the recipe `photo` shows them."""
    random = np.random.default_rng(0)
    for number in range(count):
        noise(random, case.stored_px).save(folder / f"{number:05}.jpg", quality=90)
    write_beton(sorted(folder.glob("*.jpg")), folder, params=ConvertParams(mode="jpg"))
    ids = [f"{number:05}" for number in range(count)]
    rows = pd.DataFrame({"image_id": ids, "label": np.arange(count) % N_CLASSES, "weight": 1.0})
    return open_loader(
        folder,
        rows,
        batch_size=case.batch_size,
        side_px=case.side_px,
        augmentation=Augmentation(scale_min=case.recipe.scale_min, flip=case.recipe.flip),
        shuffle=True,
        seed=0,
        drop_last=True,
        kind="auto",
        workers=workers,
    )


def new_model(case: Case, device: torch.device) -> Classifier:
    network = build_network(case.network, n_classes=N_CLASSES, side_px=case.side_px)
    network.to(memory_format=torch.channels_last)
    return Classifier(network, mean=case.recipe.mean, std=case.recipe.std).to(device)


def updates(learner: Learner, batches: Iterator[Batch]) -> int:
    """Our update on each batch; returns the number of pictures."""
    learner.begin_epoch()
    losses, count = Losses(learner.device, []), 0
    for batch in fed(batches, learner.device):
        learner.update(batch, rate=0.01, before=losses.add)
        count += len(batch.labels_B)
    return count


def bare_loop(case: Case, batches: Iterator[Batch], device: torch.device) -> int:
    """What one writes without a library for training: same network, optimiser, smoothing, average and precision."""
    model, recipe, count = new_model(case, device).train(), case.recipe, 0
    optimiser = torch.optim.SGD(
        model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay), use_buffers=True)
    for batch in batches:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            logits_BK = model(batch.images_BHWC.to(device, non_blocking=True))
            labels_B = batch.labels_B.to(device, non_blocking=True)
            loss = F.cross_entropy(logits_BK, labels_B, label_smoothing=recipe.label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        average.update_parameters(model)
        count += len(batch.labels_B)
    return count


def trainer(case: Case, loader: Replayed, device: torch.device, folder: Path) -> int:
    """Our `train`, with checkpoints that are due every two minutes, and one batch to validate on."""
    checkpoints = Checkpoints(folder, every_s=120, told=threading.Event())
    meter = Meter("train", "images", len(loader) * case.batch_size, 30)
    small = Batch(*(tensor[:2] for tensor in vars(loader.batches[0]).values()))
    loaders = Loaders(train=loader, val=Replayed([small], loader.image_ids, 1))
    objective = Objective(label_smoothing=case.recipe.label_smoothing)
    train(
        new_model(case, device),
        case.recipe,
        objective=objective,
        loaders=loaders,
        device=device,
        meter=meter,
        checkpoints=checkpoints,
    )
    return len(loader) * case.batch_size


def rate(work: Callable[[], int], device: torch.device) -> float:
    """Pictures per second, of the clock on a GPU, of the CPU's time without one."""
    clock = time.monotonic if device.type == "cuda" else time.process_time
    began = clock()
    count = work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return count / (clock() - began)


def measure(case: Case, device: torch.device, *, rounds: int, steps: int, workers: int) -> list[Row]:
    """Alternating rounds of the four."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        loader = open_noise(folder, case, count=steps * case.batch_size, workers=workers)
        memory = Replayed(list(loader.epoch(0))[:4], loader.image_ids, steps)
        objective = Objective(label_smoothing=case.recipe.label_smoothing)
        (phase,) = phases(case.recipe)
        learner = Learner(new_model(case, device), case.recipe, phase, objective=objective, device=device)
        sides: dict[str, Callable[[int], int]] = {
            "synthetic": lambda n: updates(learner, memory.epoch(n)),
            "pipeline": lambda n: updates(learner, loader.epoch(n)),
            "bare loop": lambda n: bare_loop(case, memory.epoch(n), device),
            "trainer": lambda n: trainer(case, memory, device, folder),
        }
        taken: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(rounds + 1):
            for name, side in sides.items():
                found = rate(lambda side=side, number=number: side(number), device)
                if number:
                    taken[name].append(found)
    for name, values in taken.items():
        print(f"{case.name}: {name} {statistics.median(values):.0f} pictures/s", flush=True)
    unit = "pictures/s" if device.type == "cuda" else "pictures/CPU-s"
    result = [row(case.name, name, unit, values) for name, values in taken.items()]
    for over, under in (("pipeline", "synthetic"), ("trainer", "bare loop")):
        ratios = [one / other for one, other in zip(taken[over], taken[under], strict=True)]
        print(f"{case.name}: {over} to {under} {statistics.median(ratios):.3f}", flush=True)
        result.append(row(case.name, f"{over} to {under}", "ratio", ratios))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds (default 7)")
    parser.add_argument("--steps", type=int, default=20, help="steps in a round (default 20)")
    parser.add_argument("--workers", type=int, default=0, help="decoding threads; 0: every core")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a step (default 1)")
    options = parser.parse_args()
    device = open_device(options.device, threads=options.threads, seed=0)
    torch.set_deterministic_debug_mode("default")
    workers = options.workers or torch.get_num_threads()
    rows = [
        one
        for case in CASES[device.type]
        for one in measure(case, device, rounds=options.rounds, steps=options.steps, workers=workers)
    ]
    if device.type == "cuda":
        rows.append(row(torch.cuda.get_device_name(), "GPUs", "count", [torch.cuda.device_count()]))
    print(f"wrote {write_results('training_gpu' if device.type == 'cuda' else 'training', rows)}")


if __name__ == "__main__":
    main()
