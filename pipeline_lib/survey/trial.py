"""What one image costs on this machine: a few are decoded and converted, and a fresh network takes two steps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.convert.stored import ReceivedImage, stored_form
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.shard import describe_shapes
from pipeline_lib.params import LineParams
from pipeline_lib.settings import Settings
from pipeline_lib.survey.look import Survey

TRIED, TRIED_S = 50, 2.0  # images, and after how many seconds it is enough
PIXELS_OF_A_BATCH = 250_000  # 5 images of 224 px: less than a second on one core, and enough to be busy with


@dataclass(frozen=True)
class Trial:
    """n: images tried. kept_bytes: of an image in a beton; weights_bytes: of the network.

    Seconds of wall time per image: prepare_s of one worker that decodes, measures and converts it; step_s of the
    training process with all its threads, for an update with the largest views; look_s for an answer.
    """

    n: int
    kept_bytes: float
    weights_bytes: int
    prepare_s: float
    step_s: float
    look_s: float


def try_out(survey: Survey, params: LineParams, settings: Settings) -> Trial | None:
    """Try up to 50 sampled images, and a step of training; None when none of them could be decoded."""
    costs = _prepare(survey, params)
    if not costs:
        return None
    seconds, sizes_bytes = zip(*costs, strict=True)
    weights_bytes, step_s, look_s = _steps(params, settings, n_classes=max(2, len(survey.classes)))
    n = len(costs)
    return Trial(n, sum(sizes_bytes) / n, weights_bytes, sum(seconds) / n, step_s, look_s)


def _prepare(survey: Survey, params: LineParams) -> list[tuple[float, int]]:
    """Seconds and kept bytes of each image; the first one, which loads what the others find loaded, goes twice."""
    rules, costs, started = params.inspect.pixel_rules(), [], time.perf_counter()
    samples = survey.samples[:: -(-len(survey.samples) // TRIED) or 1]
    for seen in [*samples[:1], *samples]:
        if seen.size_bytes > params.download.max_file_bytes:
            continue
        data = seen.first(seen.size_bytes) if seen.first else b""
        began = time.perf_counter()
        examined = examine(seen.name, data, params.inspect)
        found = examined.findings
        if len(data) < seen.size_bytes or examined.grey_HW is None:
            continue
        describe_shapes(examined.grey_HW)
        size = {name: int(found[name]) for name in ("width_px", "height_px", "exif_orientation")}
        image = ReceivedImage(image_id=seen.name, container="", offset_bytes=0, size_bytes=len(data), **size)
        stored = stored_form(data, image, params.convert, rules, shards=Path(survey.uri))
        costs.append((time.perf_counter() - began, len(stored.content)))
        if time.perf_counter() - started > TRIED_S:
            break
    return costs[1:] or costs


def _steps(params: LineParams, settings: Settings, *, n_classes: int) -> tuple[int, float, float]:
    """Bytes of the weights, and the seconds per image of an update and of an answer; each the second of two."""
    import torch

    from pipeline_lib.loader import Batch
    from pipeline_lib.networks.build import build_network
    from pipeline_lib.networks.classifier import Classifier
    from pipeline_lib.networks.device import choose_device
    from pipeline_lib.train.learner import Learner, phases
    from pipeline_lib.train.loss import Objective

    recipe = params.train.changed(compile="off")  # which takes longer than what is tried
    side_px = max(recipe.training_sides())
    device = choose_device(settings.device, threads=params.train.threads, seed=0)
    network = build_network(recipe.network, n_classes=n_classes, side_px=recipe.side_px, auxiliary=True)
    model = Classifier(network.to(memory_format=torch.channels_last), mean=recipe.mean, std=recipe.std).to(device)
    learner = Learner(model, recipe, phases(recipe)[-1], objective=Objective(), device=device)
    n = recipe.batch_size if device.type == "cuda" else min(recipe.batch_size, max(4, PIXELS_OF_A_BATCH // side_px**2))
    images_BHWC = torch.randint(256, (n, side_px, side_px, 3), dtype=torch.uint8)
    batch = Batch(images_BHWC, torch.arange(n) % n_classes, torch.ones(n), torch.arange(n))
    learner.begin_epoch()
    step_s = look_s = 0.0
    for _ in range(2):  # the first one also prepares kernels and memory
        began = time.perf_counter()
        float(learner.update(batch, rate=recipe.peak_learning_rate))  # waits for a GPU
        step_s = (time.perf_counter() - began) / n
    model.eval()
    for _ in range(2):
        began = time.perf_counter()
        with torch.no_grad():
            model(batch.images_BHWC.to(device)).cpu()
        look_s = (time.perf_counter() - began) / n
    return 4 * sum(tensor.numel() for tensor in network.state_dict().values()), step_s, look_s
