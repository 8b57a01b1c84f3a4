"""Histograms of oriented gradients: an image's shapes as a vector, without any training.

Dalal and Triggs, CVPR 2005: unsigned gradients in 9 directions, shared linearly between the two nearest; cells of an
eighth of the side; blocks of 2 x 2 cells, normalised by L2-Hys. Own lines, because OpenCV 5 no longer ships it and
scikit-image would be one more dependency.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

CELLS: Final = 8
BINS: Final = 9
BLOCK: Final = 2
CLIP: Final = 0.2  # of L2-Hys
VECTOR_LENGTH: Final = (CELLS - BLOCK + 1) ** 2 * BLOCK**2 * BINS  # 1764


def hog(grey_HW: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Describe a square grey image whose side is a multiple of CELLS, by VECTOR_LENGTH values in 0..1.

    The length does not depend on the side: the cells grow with the image.
    """
    cells = _normalised(_cell_histograms(grey_HW))
    return cells.astype(np.float32)


def _cell_histograms(grey_HW: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Gradient magnitude per direction in each cell: [CELLS, CELLS, BINS]."""
    assert grey_HW.shape[0] == grey_HW.shape[1] and grey_HW.shape[0] % CELLS == 0, grey_HW.shape
    padded = np.pad(grey_HW.astype(np.float64), 1, mode="edge")
    across, down = padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1]
    magnitude = np.hypot(across, down)
    position = (
        np.arctan2(down, across) % np.pi / np.pi * BINS - 0.5
    )  # in bins, from the middle of bin 0
    lower = np.floor(position).astype(np.int64)
    share = position - lower
    side_px = grey_HW.shape[0] // CELLS
    cell = np.arange(grey_HW.shape[0]) // side_px
    base = (cell[:, None] * CELLS + cell[None, :]) * BINS
    size = CELLS * CELLS * BINS
    sums = np.zeros(size)
    sums += np.bincount((base + lower % BINS).ravel(), (magnitude * (1 - share)).ravel(), size)
    sums += np.bincount((base + (lower + 1) % BINS).ravel(), (magnitude * share).ravel(), size)
    return sums.reshape(CELLS, CELLS, BINS)


def _normalised(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """All overlapping blocks as one vector, each with L2-Hys: unit length, clipped, unit length again."""
    windows = np.lib.stride_tricks.sliding_window_view(cells, (BLOCK, BLOCK), axis=(0, 1))
    blocks = windows.reshape((CELLS - BLOCK + 1) ** 2, -1)
    for limit in (CLIP, np.inf):
        blocks = np.minimum(blocks / (np.linalg.norm(blocks, axis=1, keepdims=True) + 1e-3), limit)
    return blocks.ravel()
