"""How unlike the training images an image is: its distance from them in features, ranked among validation images.

Distance: Mahalanobis' of the features that enter the head (Lee et al. 2018, arXiv 1807.03888), which are scaled to
length 1 (Müller and Hein 2025, arXiv 2505.18032). There is one mean and one covariance for all classes: the mean of a
class of one image would be that image's features. The covariance is that of probabilistic principal components
(Tipping and Bishop 1999, doi 10.1111/1467-9868.00196): it can be inverted where there are fewer images than features.

Rank: a conformal p-value (Bates et al. 2023, arXiv 2104.08279), the share of validation images that are at least as
far, the image itself counted among them. Among images like those of validation, at most 5 % have a share of 0.05 or less.

B of N images, F features, R directions, Q validation distances.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
import torch
from scipy import stats
from torch import Tensor, nn

from pipeline_lib.networks.build import head_name
from pipeline_lib.networks.classifier import Calibrated, Classifier
from pipeline_lib.networks.exported import UNLIKE_BORDER
from pipeline_lib.share_interval import Interval

LEAST_VALIDATION = (
    19  # with fewer, even the farthest image has a share of 1 / (n + 1), above the border
)
MOST_DIRECTIONS = 64  # benchmarks/robustness/unlike.py: 16 and 256 tell no more apart
MOST_DISTANCES = 999  # in the export; of more, as many quantiles
LEAST_VARIANCE = 1e-6  # of the other directions, as a share of the mean: features that never vary would divide by zero
TINY = 1e-12


class Spread(nn.Module):
    """features_BF -> distances_B (float32, squared) from the training images."""

    mean_F: Tensor
    directions_RF: Tensor
    variance_R: Tensor
    variance_elsewhere: Tensor

    def __init__(
        self, mean_F: Tensor, directions_RF: Tensor, variance_R: Tensor, variance_elsewhere: float
    ) -> None:
        super().__init__()
        self.register_buffer("mean_F", mean_F.float())
        self.register_buffer("directions_RF", directions_RF.float())
        self.register_buffer("variance_R", variance_R.float())
        self.register_buffer("variance_elsewhere", torch.tensor(variance_elsewhere).float())

    def forward(self, features_BF: Tensor) -> Tensor:
        """Compute the squared distances."""
        x_BF = unit_length(features_BF) - self.mean_F
        along_BR = x_BF @ self.directions_RF.T
        # Not |x|^2 - |along|^2, whose rounding errors would be divided by a small variance.
        elsewhere_BF = x_BF - along_BR @ self.directions_RF
        known_B = (along_BR.square() / self.variance_R).sum(1)
        return known_B + elsewhere_BF.square().sum(1) / self.variance_elsewhere


def fit_spread(features_NF: Tensor) -> Spread:
    """Fit to the features of N training images. At most N / 2 directions, so that each has some images."""
    x_NF = unit_length(features_NF.double())
    mean_F = x_NF.mean(0)
    n, n_features = x_NF.shape
    _, singular, directions = torch.linalg.svd(x_NF - mean_F, full_matrices=False)
    variances = singular.square() / n
    total = float(variances.sum())
    least = max(LEAST_VARIANCE * total / n_features, TINY)
    kept = min(MOST_DIRECTIONS, n // 2, int((variances > least).sum()))
    n_others = max(n_features - kept, 1)
    elsewhere = max(float(variances[kept:].sum()) / n_others, least)

    # The sign of a direction changes no distance: fixed, so that the export has the same bytes.
    first = directions[:kept]
    largest = first.gather(1, first.abs().argmax(1, keepdim=True))
    return Spread(mean_F, first * largest.sign(), variances[:kept], elsewhere)


def unit_length(features_BF: Tensor) -> Tensor:
    """Scale each row to length 1; a row of zeros stays."""
    length_B1 = features_BF.square().sum(1, keepdim=True).sqrt()
    return features_BF / length_B1.clamp(min=TINY)


class Rank(nn.Module):
    """distances_B -> share_B, 0..1: of the validation images, those at least as far."""

    distances_Q: Tensor

    def __init__(self, validation_N: Tensor) -> None:
        super().__init__()
        n = len(validation_N)
        n_kept = min(n, MOST_DISTANCES)
        # The k-th of Q is at place k (N + 1) / (Q + 1) of N, rounded up: no share is smaller than that among all N.
        places = [-(-k * (n + 1) // (n_kept + 1)) - 1 for k in range(1, n_kept + 1)]
        self.register_buffer("distances_Q", validation_N.sort().values[places])

    def forward(self, distances_B: Tensor) -> Tensor:
        """Compute the shares."""
        as_far_B = (self.distances_Q >= distances_B[:, None]).sum(1)
        return (1 + as_far_B) / (1 + len(self.distances_Q))


class Remarking(nn.Module):
    """uint8 images_BHWC -> probabilities_BK and share_B: what is exported where validation suffices."""

    def __init__(self, calibrated: Calibrated, spread: Spread, rank: Rank) -> None:
        super().__init__()
        self.calibrated, self.spread, self.rank = calibrated, spread, rank

    def forward(self, images_BHWC: Tensor) -> tuple[Tensor, Tensor]:
        """Compute both."""
        with watch_features(self.calibrated.classifier) as take:
            probabilities_BK = self.calibrated(images_BHWC)
        return probabilities_BK, self.rank(self.spread(take()))


@contextmanager
def watch_features(model: Classifier) -> Iterator[Callable[[], Tensor]]:
    """Within the block, the function returns the features_BF (float32) since it was last called: what entered the head."""
    head = model.network.get_submodule(head_name(model.network))
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, given: seen.append(_pooled(given[0])))

    def take() -> Tensor:
        features_BF = torch.cat(seen)
        seen.clear()
        return features_BF

    try:
        yield take
    finally:
        hook.remove()


def _pooled(given: Tensor) -> Tensor:
    """The input of a head as [B, F] on the CPU: the mean over places, where a head is a convolution."""
    features_BF = given.mean((2, 3)) if given.ndim == 4 else given
    return features_BF.float().cpu()


def why_not(*, n_validation: int, n_training: int) -> str:
    """Why no image can be called unlike: a reason with its remedy; "" where some can."""
    if n_training == 0:
        return "evaluate.unlike_images is 0 in params.yaml"
    if n_validation < LEAST_VALIDATION:
        return (
            f"{n_validation} validation images are too few to tell; {LEAST_VALIDATION} are needed"
        )
    return ""


def draw_evenly(rows: pd.DataFrame, n: int) -> pd.DataFrame:
    """At most n rows, or one of each class where that is more: of all classes equally many as far as they go.

    The same images are drawn again when others join.
    """
    ordered = rows.assign(
        drawn=[hashlib.sha256(image.encode()).hexdigest() for image in rows["image_id"]]
    ).sort_values("drawn")
    ordered["turn"] = ordered.groupby("label").cumcount()
    kept = ordered.sort_values(["turn", "drawn"]).head(max(n, rows["label"].nunique()))
    return rows.loc[kept.index.sort_values()]


@dataclass(frozen=True)
class FalseAlarms:
    """The share of images like those of validation that is remarked: its mean and 95 % interval, 0..1."""

    mean: float
    interval: Interval


def promised_false_alarms(n_validation: int) -> FalseAlarms:
    """What N validation images promise: the share is Beta(k, N + 1 - k), k = floor(0.05 (N + 1)) (Vovk 2012).

    Proof: the share beyond an order statistic of N has that distribution (arXiv 1209.2673, section 3).
    """
    k = int(UNLIKE_BORDER * (n_validation + 1) + TINY)
    low, high = stats.beta.interval(0.95, k, n_validation + 1 - k)
    return FalseAlarms(k / (n_validation + 1), Interval(float(low), float(high)))
