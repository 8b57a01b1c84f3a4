"""The loader that keeps the images on the device: decoded once, then shown from there (`resident`).

The same views as the other loaders, bit for bit, where augmentation only mirrors, shifts and hides: each image by its
own draws, a whole batch at once. B of N images, H = W = side_px.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from pipeline_lib.loader.batches import Batch, BatchLoader
from pipeline_lib.loader.epoch_plan import Plan
from pipeline_lib.loader.render import CUTOUT_GREY

MOST = 0.5  # of the memory that is free: the training step needs the rest
GB = 1e9
ON_DEVICE = ("flip", "shift_px", "cutout_px")  # the keys of augmentation that this loader can show


class ResidentLoader:
    """See BatchLoader. Within an epoch nothing is copied to the device but the draws, once."""

    kind = "resident"

    def __init__(self, plan: Plan, still: BatchLoader, device: torch.device) -> None:
        """still: gives the same images by position, as evaluation sees them; it is read once."""
        self._plan = plan
        self._device = device
        self.image_ids: Sequence[str] = plan.images.image_ids

        # Filled by position, whatever the order of `still`.
        shape = (len(self.image_ids), plan.side_px, plan.side_px, 3)
        self._pixels_NHWC = torch.empty(shape, dtype=torch.uint8, device=device)
        for batch in still.epoch(0):
            self._pixels_NHWC[batch.positions_B.to(device)] = batch.images_BHWC.to(device)
        self._labels_N = plan.images.labels_N.to(device)
        self._weights_N = plan.images.weights_N.to(device)

    def __len__(self) -> int:
        return len(self._plan)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        visits = self._plan.order(epoch, start)
        views = self._plan.views(visits, epoch)
        corners = (views.cutouts_N2 * self._plan.side_px).astype(int) - views.cutout_px // 2

        # The draws of the whole epoch go to the device at once; each batch is then a slice of them.
        on_device = partial(torch.as_tensor, device=self._device)
        drawn = (self._plan.positions(visits), views.flips_N, views.shifts_N2, corners)
        columns = [on_device(column) for column in drawn]
        for first in range(0, len(visits), self._plan.batch_size):
            positions_B, *how = (
                column[first : first + self._plan.batch_size] for column in columns
            )
            images_BHWC = show(self._pixels_NHWC, positions_B, *how, cutout_px=views.cutout_px)
            yield Batch(
                images_BHWC, self._labels_N[positions_B], self._weights_N[positions_B], positions_B
            )

    def close(self) -> None:
        """Free the memory."""
        self._pixels_NHWC = self._pixels_NHWC[:0].clone()


def show(
    pixels_NHWC: Tensor,
    positions_B: Tensor,
    flips_B: Tensor,
    shifts_B2: Tensor,
    corners_B2: Tensor,
    *,
    cutout_px: int,
) -> Tensor:
    """Mirror, shift (down, right) with the edge repeated, hide the square at (top, left): as render.py does it."""
    # Which row and column of the stored image each row and column of its view shows.
    line = torch.arange(pixels_NHWC.shape[1], device=pixels_NHWC.device)
    rows_BH, columns_BW = (
        (line - shifts_B2[:, axis, None]).clamp(0, len(line) - 1) for axis in (0, 1)
    )
    columns_BW = torch.where(flips_B[:, None], len(line) - 1 - columns_BW, columns_BW)
    images_BHWC = pixels_NHWC[
        positions_B[:, None, None], rows_BH[:, :, None], columns_BW[:, None, :]
    ]

    # The square is in the finished view: neither mirrored nor shifted.
    if cutout_px:
        from_BS2 = line[None, :, None] - corners_B2[:, None, :]
        inside_BS2 = (from_BS2 >= 0) & (from_BS2 < cutout_px)
        hidden_BHW = inside_BS2[:, :, None, 0] & inside_BS2[:, None, :, 1]
        images_BHWC.masked_fill_(hidden_BHW[..., None], CUTOUT_GREY)
    return images_BHWC


def as_evaluated(plan: Plan) -> Plan:
    """Every image once, by position, as evaluation sees it."""
    return replace(
        plan, augmentation=None, shuffle=False, drop_last=False, sampling="as_is", rank=0, world=1
    )


def obstacle(plan: Plan, device: torch.device) -> str | None:
    """Why these images cannot be shown from this device; None where they can."""
    if plan.augmentation and not set(plan.augmentation.varied()).issubset(ON_DEVICE):
        return "crops, turns and colours are drawn while decoding"

    # Three bytes a pixel, one size for all.
    needed = len(plan.images) * plan.side_px**2 * 3
    free = MOST * _free_bytes(device)
    return f"{needed / GB:.1f} GB, where {free / GB:.1f} GB are to spare" if needed > free else None


def _free_bytes(device: torch.device) -> int:
    """Free memory, including torch's cached blocks on a GPU (left over from a smaller image size)."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
