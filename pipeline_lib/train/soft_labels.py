"""Labels as probabilities: what votes make of a training picture, in place of its one class. B pictures, K classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline_lib.tables.soft_labels import SOFT_LABELS


@dataclass(frozen=True)
class SoftLabels:
    """Of N training pictures M have probabilities; the others keep their label.

    probabilities_MK: float32, rows add up to 1. row_N: int64, by position in the selection; -1: none.
    """

    probabilities_MK: Tensor
    row_N: Tensor

    def targets(self, labels_B: Tensor, positions_B: Tensor) -> Tensor:
        """float32 targets_BK of the pictures at these positions."""
        row_B = self.row_N[positions_B]
        certain_BK = F.one_hot(labels_B, self.probabilities_MK.shape[1]).float()
        return torch.where(row_B[:, None] >= 0, self.probabilities_MK[row_B.clamp(min=0)], certain_BK)


def read_soft_labels(
    path: Path, *, image_ids: pd.Series, classes: pd.Series, device: torch.device
) -> SoftLabels | None:
    """The soft labels of the pictures `image_ids` (by position), columns in the order of `classes` (class_ids).

    None where the file has none. Raises BadData when it is no table of soft labels.
    """
    table = SOFT_LABELS.read(path)
    if table.empty:
        return None
    named = table.set_index(["image_id", "class_id"])["probability"].unstack()  # noqa: PD010 - each pair comes once
    probabilities_MK = spread_rest(named.reindex(columns=classes).to_numpy(np.float64))
    row_N = named.index.get_indexer(pd.Index(image_ids))
    return SoftLabels(
        torch.tensor(probabilities_MK, dtype=torch.float32, device=device), torch.tensor(row_N, device=device)
    )


def spread_rest(named_MK: np.ndarray) -> np.ndarray:
    """Fill what is NaN: classes that nobody named share the rest evenly. The rows add up to 1."""
    unnamed_MK = np.isnan(named_MK)
    rest_M = np.clip(1 - np.nansum(named_MK, axis=1), 0, 1)
    each_M = rest_M / np.maximum(unnamed_MK.sum(axis=1), 1)
    filled_MK = np.where(unnamed_MK, each_M[:, None], named_MK)
    return np.asarray(filled_MK / filled_MK.sum(axis=1, keepdims=True))
