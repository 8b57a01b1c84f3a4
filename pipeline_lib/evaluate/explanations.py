"""Why the model answers as it does, of a few test images: what the report's page of explanations is drawn from.

Chosen are the most confident mistakes, and right answers of as many classes as possible: a model that looks at the wrong
thing shows it in both. All of it is computed on the CPU, so that a GPU changes no byte.

D: dimensions of the features, Q: images asked about, M: rows of one file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from pipeline_lib.evaluate.params import EvaluateParams
from pipeline_lib.evaluate.unlike import draw_evenly
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.loader import BatchLoader
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.class_map import ClassMap, NoCells, Shown, class_map, rank_correlations
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.tables.explanations import EXPLANATIONS
from pipeline_lib.tables.features import FEATURES
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.selection import SELECTION

log = logging.getLogger(__name__)
MISTAKES_OF_3 = 2  # of three images that are explained, where there are enough mistakes
CHECKED = (
    8  # images whose maps are compared with those of fresh weights, which takes five networks each
)
NEAREST = 5
DIGITS = 6  # of a cell's share of the evidence
TINY = 1e-12
Vectors = npt.NDArray[np.float32]


def write_explanations(
    job: StageRun[EvaluateParams],
    model: Classifier,
    about: ModelFile,
    open_rows: Callable[[pd.DataFrame], BatchLoader],
) -> None:
    """Explain `evaluate.explained_images` of the test images. model: on the CPU. open_rows: rows of a selection -> loader.

    The table is empty where none are asked for, and for a network without cells.
    """
    columns = ["image_id", "split", "label", "predicted", "correct", "p_predicted"]
    said = PREDICTIONS.read(job.writes["predictions"], columns)
    chosen = choose(said[said["split"] == "test"], job.params.explained_images)
    rows = []
    if not chosen.empty:
        try:
            rows = _explained(chosen, job, model, about, open_rows)
        except NoCells as error:
            log.warning("no answer is explained: %s has %s", about.network, error)
    EXPLANATIONS.write(
        pd.DataFrame(rows, columns=EXPLANATIONS.empty().columns), job.writes["explanations"]
    )


def choose(test: pd.DataFrame, n: int) -> pd.DataFrame:
    """The rows to explain, in their order on the page: mistakes, the most confident first, then right answers.

    test: predictions of the test split. Two of three are mistakes, if there are so many; the same right answers are
    drawn again when other images join.
    """
    wrong = test[~test["correct"]].sort_values(["p_predicted", "image_id"], ascending=[False, True])
    right = test[test["correct"]]
    n_wrong = min(len(wrong), max(-(-MISTAKES_OF_3 * n // 3), n - len(right)))
    n_right = min(len(right), n - n_wrong)
    drawn = (draw_evenly(right, n_right) if n_right else right).sort_values(["label", "image_id"])
    spread = (
        np.linspace(0, len(drawn) - 1, n_right).round().astype(int)
    )  # of more classes than places
    return pd.concat([wrong.head(n_wrong), drawn.iloc[spread]]).reset_index(drop=True)


def _explained(
    chosen: pd.DataFrame,
    job: StageRun[EvaluateParams],
    model: Classifier,
    about: ModelFile,
    open_rows: Callable[[pd.DataFrame], BatchLoader],
) -> list[dict[str, Any]]:
    """The rows of the table. Raises NoCells."""
    images_BHWC = _images(chosen["image_id"], job.reads["selection"] / "test.parquet", open_rows)
    maps: list[tuple[ClassMap, ClassMap | None]] = []
    checked: list[Shown] = []
    for row, image_HWC in zip(chosen.to_dict("records"), images_BHWC, strict=True):
        images_BCHW = model.normalised(image_HWC[None])
        answer = class_map(model.network, images_BCHW, row["predicted"])
        label = None if row["correct"] else class_map(model.network, images_BCHW, row["label"])
        maps.append((answer, label))
        checked.append(Shown(images_BCHW, row["predicted"], answer.evidence_hw))

    # Evenly from all of them, so that mistakes and right answers are among those that are checked.
    at = np.unique(np.linspace(0, len(checked) - 1, CHECKED).round().astype(int))
    fresh = partial(
        build_network, about.network, n_classes=len(about.classes), side_px=about.side_px
    )
    correlation = dict(zip(at, rank_correlations(fresh, [checked[i] for i in at]), strict=True))
    train = SELECTION.read(job.reads["selection"] / "train.parquet", ["image_id"])["image_id"]
    near = nearest(job.reads["features"], list(chosen["image_id"]), set(train))
    return [
        {
            "image_id": image_id,
            "place": place,
            "layer": answer.layer,
            "height": answer.evidence_hw.shape[0],
            "width": answer.evidence_hw.shape[1],
            "for_answer": _rounded(answer),
            "for_label": _rounded(label) if label else [],
            "rank_correlation": correlation.get(place),
            "nearest": [other for other, _ in near[image_id]],
            "likeness": [likeness for _, likeness in near[image_id]],
        }
        for place, (image_id, (answer, label)) in enumerate(
            zip(chosen["image_id"], maps, strict=True)
        )
    ]


def _images(
    image_ids: pd.Series, selection: Path, open_rows: Callable[[pd.DataFrame], BatchLoader]
) -> torch.Tensor:
    """images_BHWC of these test images, in their order, as evaluation sees them."""
    rows = SELECTION.read(selection).set_index("image_id").loc[image_ids].reset_index()
    threads = torch.get_num_threads()
    positions: list[torch.Tensor] = []
    images: list[torch.Tensor] = []
    with closing(open_rows(rows)) as loader:
        for batch in loader.epoch(0):
            positions.append(batch.positions_B.clone())
            images.append(batch.images_BHWC.cpu().clone())
    torch.set_num_threads(threads)  # FFCV sets its own number
    return torch.cat(images)[torch.cat(positions).argsort()]


def nearest(
    features: Path, image_ids: Sequence[str], train: Collection[str]
) -> dict[str, list[tuple[str, float]]]:
    """image_id -> the training images that are most like it, by the cosine of the features of `inspect`, best first.

    features: the folder. Files are read one by one, so that memory does not grow with the number of images.
    """
    files = sorted(features.glob("*.parquet"))
    columns = ["image_id", "kind", "vector"]
    asked = pd.concat([_only(FEATURES.read(file, columns), set(image_ids)) for file in files])
    found: dict[str, list[tuple[str, float]]] = {image_id: [] for image_id in image_ids}
    for file in files:
        others = _only(FEATURES.read(file, columns), train)
        for kind, mine in asked.groupby("kind"):
            same = others[others["kind"] == kind]
            if same.empty:
                continue
            likeness_QM = _of_unit_length(mine["vector"]) @ _of_unit_length(same["vector"]).T
            for image_id, likeness_M in zip(mine["image_id"], likeness_QM, strict=True):
                pairs = [*found[image_id], *zip(same["image_id"], likeness_M.tolist(), strict=True)]
                found[image_id] = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:NEAREST]
    return found


def _only(table: pd.DataFrame, image_ids: Collection[str]) -> pd.DataFrame:
    return table[table["image_id"].isin(image_ids)]


def _of_unit_length(vectors: pd.Series) -> Vectors:
    vectors_ND = np.stack(vectors.to_list()).astype(np.float32)
    length_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    unit_ND: Vectors = vectors_ND / np.maximum(length_N1, TINY)
    return unit_ND


def _rounded(found: ClassMap) -> list[float]:
    shares: list[float] = found.evidence_hw.ravel().round(DIGITS).tolist()
    return shares
