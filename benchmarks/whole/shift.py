"""How the gate judges corrupted images: equal models, models of other seeds, and models that lost something.

    python -m benchmarks.whole.shift [--work FOLDER] [--seeds 8] [--nights 2000]

Trained: the digits of scikit-learn (1,257 to train, 180 to validate, 360 to test), recipe quick by the real train stage on
one thread. `as it is` and `with light`: training views change brightness and contrast by up to half. Each model answers all
360 test images in six kinds of corruption and three strengths, as `evaluate` shows them.

- other seed: every ordered pair of two models `as it is`. They were made alike but are not equal: a seed decides how a model
  takes noise, and the gate judges that model.
- other seed with light: the same of models `with light`.
- light forgotten: champions `with light`, new models `as it is` (the planted regression).
- equal: simulated nights from real answers. An image's answers of champion and new model change places at random, in all
  strengths of a kind together, so that both are equal by construction. Drawn from the pairs of other seeds.
- n points lost in blur: the same, where the new model also gets this share of the images wrong that both had right in blur.

Writes benchmarks/results/shift.json. --work keeps the answers. Some 3 CPU minutes.
"""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the stage harness does
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch

from benchmarks.support.digit_line import DigitLine
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.evaluate.params import EvaluateParams
from pipeline_lib.evaluate.shift import AMONG_FIVE, answer_shifted, shifted_images
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.networks.saved_weights import load_weights
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.register.shift_losses import shift_changes
from pipeline_lib.registry import ShiftChange
from pipeline_lib.share_interval import wilson
from pipeline_lib.shift.names import CORRUPTED, KINDS, family_of
from pipeline_lib.tables.shifted import SHIFTED

PLAIN, LIGHT = "as it is", "with light"
RECIPES: dict[str, dict[str, Any]] = {PLAIN: {}, LIGHT: {"brightness": 0.5, "contrast": 0.5}}
SIZES = (100, 200, 360)
LOSSES = (5, 10, 20)
BLUR = "corrupted/blur"
AS_PLAIN = "extra/plain"  # the test images as they are


def main() -> None:
    """Train, judge, simulate, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("benchmarks/out/shift"))
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--nights", type=int, default=2000)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    answers = {
        recipe: [_answers(options.work, recipe, seed) for seed in range(options.seeds)]
        for recipe in RECIPES
    }
    rows = list(_trained(answers[PLAIN], answers[LIGHT]))
    rows += _simulated(answers[PLAIN], options.nights)
    print(write_results("shift", rows, also=("scipy",)))


def _answers(work: Path, recipe: str, seed: int) -> pd.DataFrame:
    """The rows of SHIFTED of a model trained with this seed; kept in `work`."""
    file = work / f"{recipe.replace(' ', '_')}-{seed}.parquet"
    if file.exists():
        return SHIFTED.read(file)
    with TemporaryDirectory(dir=work) as folder:
        line = DigitLine(Path(folder) / "line")
        split = line.split(0)
        weights = line.train(split.train, split.val, seed=seed, **RECIPES[recipe])
        about = read_model_file(weights)
        network = build_network(about.network, n_classes=len(about.classes), side_px=about.side_px)
        load_weights(network, weights)
        model = Classifier(network, mean=about.mean, std=about.std)
        params = EvaluateParams(threads=1, corrupted_images=len(split.test))
        plain = split.test.assign(test_set="plain", restricted=False)
        plain["labels"] = pd.Series([[label] for label in plain["label"]], plain.index)
        images = shifted_images(split.test, plain, params)
        job = StageRun(line.folder, {"betons": line.betons}, {}, params, line.settings)
        shifted = answer_shifted(
            job, model, about, images, temperature=1.0, device=torch.device("cpu")
        )
    SHIFTED.write(shifted.drop(columns=AMONG_FIVE), file)
    return SHIFTED.read(file)


def _trained(plain: Sequence[pd.DataFrame], light: Sequence[pd.DataFrame]) -> Iterator[Row]:
    pairs = {
        "other seed": list(itertools.permutations(plain, 2)),
        "other seed with light": list(itertools.permutations(light, 2)),
        "light forgotten": list(itertools.product(light, plain)),
    }
    for case, some in pairs.items():
        for n in SIZES:
            judged = [_judged(_paired(old, new, n)) for old, new in some]
            held = [any(one.holds for one in changes) for changes in judged]
            yield _share(f"{case}, {n} images", "held", held)
            for kind in KINDS:
                name = f"{CORRUPTED}/{kind}"
                ones = [[one for one in changes if one.name == name] for changes in judged]
                by_kind = [any(one.holds for one in some) for some in ones]
                yield _share(f"{case}, {n} images", f"held by {kind}", by_kind)
                lost = [-100 * one.change for some in ones for one in some]
                if lost:
                    yield row(f"{case}, {n} images", f"lost in {kind}", "points", lost)


def _simulated(plain: Sequence[pd.DataFrame], nights: int) -> Iterator[Row]:
    random = np.random.default_rng(0)
    pairs = list(itertools.combinations(range(len(plain)), 2))
    for n in SIZES:
        both = [_paired(plain[a], plain[b], n) for a, b in pairs]
        for lost in (0, *LOSSES):
            held, found = [], []
            for night in range(nights):
                made = _planted(both[night % len(both)], lost / 100, random)
                changes = _judged(made)
                held.append(any(one.holds for one in changes))
                found.append(any(one.holds and one.name == BLUR for one in changes))
            case = f"{lost} points lost in blur, {n} images" if lost else f"equal, {n} images"
            yield _share(case, "held", held)
            yield _share(case, "held by blur", found)


def _paired(old: pd.DataFrame, new: pd.DataFrame, n: int) -> pd.DataFrame:
    """Both models' answers to the first n images."""
    ids = old["image_id"].drop_duplicates().sort_values()
    ids = ids.sample(n, random_state=0)
    key = ["test_set", "image_id"]
    champion = old[[*key, "correct"]].rename(columns={"correct": "champion_right"})
    both = new[[*key, "correct"]].merge(champion, on=key, validate="one_to_one")
    both = both[both["image_id"].isin(ids)].astype({"correct": bool, "champion_right": bool})
    return both.assign(shared=True).reset_index(drop=True)


def _planted(both: pd.DataFrame, lost: float, random: np.random.Generator) -> pd.DataFrame:
    """Equal models: answers change places at random; then a share of all images is lost in blur."""
    family = both["test_set"].map(family_of)
    images = both["image_id"].astype("category").cat.codes.to_numpy()
    swaps = random.random((family.nunique(), images.max() + 1)) < 0.5
    swap = swaps[family.astype("category").cat.codes.to_numpy(), images]
    champion = np.where(swap, both["correct"], both["champion_right"])
    new = np.where(swap, both["champion_right"], both["correct"])
    gone = random.random(images.max() + 1) < lost
    new = new & ~(gone[images] & (family == BLUR).to_numpy())
    return both.assign(champion_right=champion, correct=new)


def _judged(both: pd.DataFrame) -> tuple[ShiftChange, ...]:
    plain = both["test_set"] == AS_PLAIN
    top1 = float(both.loc[plain, "champion_right"].mean())
    return shift_changes(both[~plain], RegisterParams(), plain_top1=top1)


def _share(case: str, metric: str, flags: Sequence[bool]) -> Row:
    limits = wilson(sum(flags), len(flags))
    share = 100 * sum(flags) / len(flags)
    return Row(case, metric, "%", share, 100 * limits.low, 100 * limits.high, len(flags))


if __name__ == "__main__":
    main()
