"""From stored pictures to the pixels the network sees, in threads: with our C decoder, or with libraries alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor

import numpy as np

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.augment import Views
from pipeline_lib.loader.effects import apply_effects
from pipeline_lib.native.views import Status, render_views
from pipeline_lib.pixels import view

Read = Callable[[int], Array]  # number in the batch -> stored picture, uint8 [H, W, 3]
IsWhole = Callable[[int], bool]  # number in the batch -> whether its bytes are those that were written


def render_table(
    table_B: Array, views: Views, out_BHWC: Array, *, is_whole: IsWhole, pool: Executor, workers: int
) -> None:
    """Fill `out_BHWC` (uint8 [B, side, side, 3]) with the views of B pictures: the C decoder, in `workers` threads.

    table_B: VIEW; its column `status` says afterwards what became of each picture.
    """

    def render_some(part: slice) -> None:
        damaged = [n for n in range(part.start, part.stop) if not is_whole(n)]
        render_views(table_B[part], out_BHWC[part])
        table_B["status"][damaged] = Status.DAMAGED
        _add_effects(views, range(part.start, part.stop), out_BHWC)

    borders = np.linspace(0, len(out_BHWC), workers + 1).astype(int).tolist()
    for _ in pool.map(render_some, map(slice, borders, borders[1:])):
        pass


def render_pictures(read: Read, views: Views, out_BHWC: Array, *, pool: Executor, workers: int) -> None:
    """The same with libraries alone; `read` decodes a whole picture. The first error of any picture is raised here."""

    def render_some(numbers: Array) -> None:
        for n in numbers:
            render(read(n), views.boxes_N4[n], bool(views.flips_N[n]), out_BHWC[n])
        _add_effects(views, numbers, out_BHWC)

    parts = np.array_split(np.arange(len(out_BHWC)), workers)
    for _ in pool.map(render_some, parts):
        pass


def _add_effects(views: Views, numbers: Iterable[int], out_BHWC: Array) -> None:
    if views.has_effects:
        for n in numbers:
            apply_effects(views, n, out_BHWC[n])


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
