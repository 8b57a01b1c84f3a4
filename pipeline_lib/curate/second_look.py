"""How well the details of two images agree, whatever their light: the second look at pairs of small images.

A perceptual hash or a feature vector proposes pairs; in a large set some of them are alike by chance. Here the 32x32
thumbnails are laid over each other: without their coarse brightness (a blur of 2 px taken away), shifted by some
pixels, somewhat larger or smaller, and turned where that is asked. What is compared is normalised correlation (Lewis,
"Fast normalized cross-correlation", 1995): 1 is the same detail, 0 none in common.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX: Final = 32
TEMPLATE_PX: Final = 24  # so the images may be shifted by 4 px to each side
PARTS_PX: Final = (18, 20, 22, 24, 26)  # the part of one image that is laid over the other, brought to TEMPLATE_PX
COARSE_SIGMA_PX: Final = 2.0
COARSE_SIDE: Final = 8
cv2.setNumThreads(1)  # the same sums on every machine


def agreement(
    thumbnails_NP: NDArray[np.uint8], pairs: NDArray[np.int64], *, turned: bool = False
) -> NDArray[np.float32]:
    """Agreement of each pair, -1..1. turned: the second image is first brought to its likeliest orientation."""
    found = np.full(len(pairs), -1.0, np.float32)
    for at, (first, second) in enumerate(pairs):
        a, b = (thumbnails_NP[one].reshape(SIDE_PX, SIDE_PX).astype(np.float32) for one in (first, second))
        found[at] = _best_match(_detail(a), _detail(_turned_like(a, b) if turned else b))
    return found


def _detail(grey_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(grey_HW - cv2.GaussianBlur(grey_HW, (0, 0), COARSE_SIGMA_PX), dtype=np.float32)


def _turned_like(a_HW: NDArray[np.float32], b_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    """b in the orientation whose coarse brightness is most like that of a."""
    forms = [form for upright in (b_HW, b_HW.T) for form in (upright, upright[:, ::-1])]
    forms += [form[::-1] for form in forms]
    coarse = [_coarse(form) for form in (a_HW, *forms)]
    return forms[int(np.argmax([(coarse[0] * form).sum() for form in coarse[1:]]))]


def _coarse(grey_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    block = SIDE_PX // COARSE_SIDE
    cells = grey_HW.reshape(COARSE_SIDE, block, COARSE_SIDE, block).mean(axis=(1, 3))
    return np.asarray(cells - cells.mean(), dtype=np.float32)


def _best_match(a_HW: NDArray[np.float32], b_HW: NDArray[np.float32]) -> float:
    best = -1.0
    a_HW, b_HW = np.ascontiguousarray(a_HW), np.ascontiguousarray(b_HW)
    for here, there in ((a_HW, b_HW), (b_HW, a_HW)):
        for part_px in PARTS_PX:
            found = cv2.matchTemplate(there, _template(here, part_px), cv2.TM_CCOEFF_NORMED)
            best = max(best, float(found.max()))
    return best


def _template(detail_HW: NDArray[np.float32], part_px: int) -> NDArray[np.float32]:
    margin = (SIDE_PX - part_px) // 2
    part = np.ascontiguousarray(detail_HW[margin : SIDE_PX - margin, margin : SIDE_PX - margin])
    if part_px == TEMPLATE_PX:
        return part
    return np.asarray(cv2.resize(part, (TEMPLATE_PX,) * 2, interpolation=cv2.INTER_LINEAR), dtype=np.float32)
