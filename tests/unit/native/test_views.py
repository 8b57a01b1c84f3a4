"""The C decoder shows exactly what libraries show: boxes of JPEGs, and Pillow's resize of them."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_images

from pipeline_lib.betons.layout import IMAGE, JPG, RAW, Array
from pipeline_lib.errors import DependencyMissing
from pipeline_lib.native import build
from pipeline_lib.native.views import VIEW, Status, load, render_views, view_table
from pipeline_lib.pixels import view

PHOTOGRAPHS = load_sample_images().images  # 427 x 640
Box = tuple[int, int, int, int]


def show(
    stored: Array, *, mode: int, size: tuple[int, int], box: Box, flip: bool = False, side: int
) -> tuple[int, Array]:
    """Status and pixels of one view."""
    image_N = np.zeros(1, IMAGE)
    image_N["mode"], image_N["height"], image_N["width"] = mode, *size
    table_N = view_table(
        image_N,
        addresses_N=np.array([stored.ctypes.data], np.uint64),
        sizes_N=np.array([stored.nbytes], np.uint64),
        boxes_N4=np.array([box]),
        flips_N=np.array([flip]),
    )
    out_NHWC = np.full((1, side, side, 3), 77, np.uint8)
    render_views(table_N, out_NHWC)
    return int(table_N["status"][0]), out_NHWC[0]


def encoded(pixels: Array, **options: object) -> Array:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    return np.frombuffer(stream.getvalue(), np.uint8)


KINDS: dict[str, dict[str, Any]] = {
    "4:4:4": {"subsampling": "4:4:4"},
    "4:2:2": {"subsampling": "4:2:2"},
    "4:2:0": {"subsampling": "4:2:0"},
    "progressive": {"progressive": True},
    "restart marks": {"restart_marker_blocks": 3},
    "optimised": {"optimize": True, "quality": 50},
}


@st.composite
def boxes(draw: st.DrawFn, *, square: bool = False) -> tuple[int, int, Box]:
    """Height and width of an image, and a box in it."""
    height, width = draw(st.integers(1, 427)), draw(st.integers(1, 640))
    box_h = draw(st.integers(1, min(height, width) if square else height))
    box_w = box_h if square else draw(st.integers(1, width))
    return (
        height,
        width,
        (draw(st.integers(0, height - box_h)), draw(st.integers(0, width - box_w)), box_h, box_w),
    )


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(place=boxes(square=True))
def test_a_box_of_a_jpeg_holds_exactly_the_pixels_of_a_full_decode(
    kind: str, place: tuple[int, int, Box]
) -> None:
    height, width, box = place
    stream = encoded(PHOTOGRAPHS[0][:height, :width], **KINDS[kind])
    top, left, side, _ = box

    status, shown = show(stream, mode=JPG, size=(height, width), box=box, side=side)

    full = simplejpeg.decode_jpeg(stream.tobytes(), "RGB")
    assert status == Status.DONE
    assert np.array_equal(shown, full[top : top + side, left : left + side])


def test_a_box_of_a_grey_jpeg_is_grey_in_three_colours() -> None:
    stream = encoded(PHOTOGRAPHS[0][..., 1])

    status, shown = show(stream, mode=JPG, size=(427, 640), box=(20, 33, 200, 200), side=200)

    assert status == Status.DONE
    assert np.array_equal(shown, simplejpeg.decode_jpeg(stream.tobytes(), "RGB")[20:220, 33:233])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(place=boxes(), side=st.integers(1, 300), flip=st.booleans())
def test_a_resized_view_is_pillows_byte_for_byte(
    place: tuple[int, int, Box], side: int, flip: bool
) -> None:
    height, width, (top, left, box_h, box_w) = place
    pixels = np.ascontiguousarray(PHOTOGRAPHS[1][:height, :width])

    status, shown = show(
        pixels, mode=RAW, size=(height, width), box=(top, left, box_h, box_w), flip=flip, side=side
    )

    expected = view(pixels[top : top + box_h, left : left + box_w], side_px=side)
    assert status == Status.DONE
    assert np.array_equal(shown, expected[:, ::-1] if flip else expected)


@pytest.mark.parametrize("value", [0, 1, 128, 254, 255])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5000), (900, 11), (224, 224)])
def test_an_even_image_stays_even(value: int, shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), value, np.uint8)

    _, shown = show(pixels, mode=RAW, size=shape, box=(0, 0, *shape), side=33)

    assert (shown == value).all()


def test_a_reduction_a_thousandfold_is_pillows_too() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 64_000, 3), np.uint8)

    _, shown = show(noise, mode=RAW, size=(2, 64_000), box=(0, 0, 2, 64_000), side=16)

    assert np.array_equal(shown, view(noise, side_px=16))


@pytest.mark.parametrize("cut", [0, 1, 2, 100, 5_000, -2_000])
def test_a_truncated_jpeg_is_damaged(cut: int) -> None:
    stream = encoded(PHOTOGRAPHS[0])[:cut].copy()

    status, _ = show(stream, mode=JPG, size=(427, 640), box=(0, 0, 427, 427), side=64)

    assert status == Status.DAMAGED


def test_zeroed_bytes_in_the_compressed_data_are_damage() -> None:
    stream = encoded(PHOTOGRAPHS[0]).copy()
    stream[9_000:9_040] = 0

    status, _ = show(stream, mode=JPG, size=(427, 640), box=(0, 0, 427, 427), side=64)

    assert status == Status.DAMAGED


def test_cmyk_is_refused_since_no_beton_of_ours_holds_it() -> None:
    stream = io.BytesIO()
    Image.new("CMYK", (32, 32)).save(stream, "JPEG")

    status, _ = show(
        np.frombuffer(stream.getvalue(), np.uint8),
        mode=JPG,
        size=(32, 32),
        box=(0, 0, 32, 32),
        side=8,
    )

    assert status == Status.DAMAGED


def test_a_jpeg_of_another_size_than_recorded_is_a_misfit() -> None:
    status, _ = show(encoded(PHOTOGRAPHS[0]), mode=JPG, size=(426, 640), box=(0, 0, 10, 10), side=8)

    assert status == Status.MISFIT


@pytest.mark.parametrize(
    "box",
    [(0, 0, 0, 5), (0, 0, 5, 0), (-1, 0, 5, 5), (0, -1, 5, 5), (424, 0, 4, 4), (0, 638, 4, 4)],
)
@pytest.mark.parametrize("mode", [RAW, JPG])
def test_a_box_outside_the_image_is_a_misfit(box: Box, mode: int) -> None:
    stored = PHOTOGRAPHS[0] if mode == RAW else encoded(PHOTOGRAPHS[0])

    assert show(stored, mode=mode, size=(427, 640), box=box, side=8)[0] == Status.MISFIT


def test_a_raw_image_with_too_few_bytes_is_a_misfit() -> None:
    assert (
        show(PHOTOGRAPHS[0][:-1], mode=RAW, size=(427, 640), box=(0, 0, 9, 9), side=8)[0]
        == Status.MISFIT
    )


def test_the_python_table_is_the_c_struct(tmp_path: Path) -> None:
    header = (build.FOLDER / "views.h").read_text()
    fields = header[header.index("typedef struct {") : header.index("} View;")]

    assert VIEW.itemsize == 56
    assert all(name in fields for name in VIEW.names or ())


def test_one_version_of_the_sources_is_compiled_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    first = build.library_path()
    made = first.stat().st_mtime_ns

    assert build.library_path() == first and first.stat().st_mtime_ns == made
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_a_library_that_does_not_load_on_this_machine_is_compiled_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    build.library_path().write_bytes(b"compiled for another libjpeg")

    assert load.__wrapped__().render_views


def test_a_library_that_never_loads_is_told_with_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(build, "LIBRARIES", ())

    with pytest.raises(
        DependencyMissing, match=r"the C decoder cannot be used .*undefined symbol: jpeg_"
    ):
        load.__wrapped__()


def test_without_a_compiler_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")

    with pytest.raises(
        DependencyMissing, match=r"the C decoder cannot be used .*no C compiler.*run `make setup`"
    ):
        build.library_path()


def test_what_the_compiler_says_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "LIBRARIES", ("-lno_such_library",))

    with pytest.raises(DependencyMissing, match="no_such_library"):
        build.compile_to(tmp_path / "views.so")
