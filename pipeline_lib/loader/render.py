"""From a stored picture to the pixels the network sees: the one decode step of both loaders.

Everything that costs time per picture is behind `render_batch`; a faster one has to give the same pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.augment import Views
from pipeline_lib.loader.effects import apply_effects
from pipeline_lib.pixels import view

Read = Callable[[int], Array]  # number in the batch -> stored picture, uint8 [H, W, 3]


def render_batch(read: Read, views: Views, out_BHWC: Array, *, pool: Executor, workers: int) -> None:
    """Fill `out_BHWC` (uint8 [B, side, side, 3]) with the views of B pictures, in `workers` threads.

    The first error of any picture is raised here.
    """

    def render_some(numbers: Array) -> None:
        for n in numbers:
            render(read(n), views.boxes_N4[n], bool(views.flips_N[n]), out_BHWC[n])
            if views.has_effects:
                apply_effects(views, n, out_BHWC[n])

    parts = np.array_split(np.arange(len(out_BHWC)), workers)
    for _ in pool.map(render_some, parts):
        pass


def render(picture_HWC: Array, box: Array, flip: bool, out_HWC: Array) -> None:
    """Write one view: cut the box, bring it to the size of `out_HWC`, mirror."""
    top, left, height, width = box
    side = len(out_HWC)
    view_HWC = picture_HWC[top : top + height, left : left + width]
    if (height, width) != (side, side):
        view_HWC = view(view_HWC, side_px=side)
    if flip:
        view_HWC = view_HWC[:, ::-1]
    out_HWC[:] = view_HWC
