"""Calls the C decoder. What it does is described in views.h."""

from __future__ import annotations

import ctypes
from enum import IntEnum
from functools import cache

import numpy as np

from pipeline_lib.betons.layout import RAW, Array
from pipeline_lib.native.build import library_path, unusable

# `View` of views.h, column by column.
_COUNTS = (
    "raw",
    "height",
    "width",
    "top",
    "left",
    "box_height",
    "box_width",
    "flip",
    "status",
    "unused",
)
VIEW = np.dtype([("stored", "u8"), ("size", "u8"), *((name, "i4") for name in _COUNTS)], align=True)


class Status(IntEnum):
    """`ViewStatus` of views.h."""

    DONE = 0
    DAMAGED = 1
    MISFIT = 2
    NO_MEMORY = 3


def view_table(
    images_N: Array, *, addresses_N: Array, sizes_N: Array, boxes_N4: Array, flips_N: Array
) -> Array:
    """What the C side reads, VIEW [N].

    images_N: IMAGE, as the beton has them. addresses_N, sizes_N: where in memory their bytes are, and how many.
    boxes_N4: top, left, height, width of the part shown, in stored pixels.
    """
    table_N = np.zeros(len(images_N), VIEW)
    table_N["stored"] = addresses_N
    table_N["size"] = sizes_N
    table_N["raw"] = images_N["mode"] == RAW
    table_N["height"] = images_N["height"]
    table_N["width"] = images_N["width"]
    for number, name in enumerate(("top", "left", "box_height", "box_width")):
        table_N[name] = boxes_N4[:, number]
    table_N["flip"] = flips_N
    return table_N


def render_views(table_N: Array, out_NHWC: Array) -> None:
    """Fill `out_NHWC` (uint8 [N, side, side, 3]) and the column `status` of the table. Releases Python's lock.

    The memory that the table names must be there. Raises DependencyMissing where the decoder cannot be compiled.
    """
    # C checks no types: what is wrong here would be read and written beyond its memory.
    count, side = out_NHWC.shape[:2]
    assert table_N.dtype == VIEW and len(table_N) == count, (table_N.dtype, len(table_N), count)
    assert out_NHWC.dtype == np.uint8 and out_NHWC.shape[2:] == (side, 3), (
        out_NHWC.dtype,
        out_NHWC.shape,
    )
    assert table_N.flags.c_contiguous and out_NHWC.flags.c_contiguous
    load().render_views(table_N.ctypes.data, count, side, out_NHWC.ctypes.data)


@cache
def load() -> ctypes.CDLL:
    """The compiled sources, compiled if need be. Raises DependencyMissing."""
    try:
        library = ctypes.CDLL(str(library_path()))
    except OSError:
        # Compiled for another libjpeg or libc: by a machine that shares this folder, or before an upgrade.
        library = _load_anew()
    library.render_views.argtypes = (
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_int32,
        ctypes.c_void_p,
    )
    library.render_views.restype = ctypes.c_int
    return library


def _load_anew() -> ctypes.CDLL:
    path = library_path(anew=True)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise unusable(str(error)) from error
