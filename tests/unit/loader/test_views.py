"""Random numbers, views and rendering: pure functions."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader import Augmentation
from pipeline_lib.loader.augmentation import (
    Draw,
    centre_views,
    draw_views,
    image_keys,
    random_bits,
    random_uniform,
)
from pipeline_lib.loader.render import apply_effects, cut_and_resize
from pipeline_lib.pixels import centre_square

KEYS = image_keys([f"image {number}" for number in range(4000)])


def test_random_numbers_are_frozen() -> None:
    """A change of these values changes every training run."""
    bits = random_bits(image_keys(["a", "b"]), Draw.FLIP, seed=1, epoch=2)

    assert [hex(value) for value in bits.tolist()] == ["0xa1d782355aa9775b", "0x62cc56ba0b3027c0"]


def test_splitmix64_gives_the_published_sequence() -> None:
    """Oracle: the first outputs for seed 1234567 in Vigna's test vector (https://prng.di.unimi.it/splitmix64.c)."""
    from pipeline_lib.loader.augmentation import _mix

    golden = np.uint64(0x9E3779B97F4A7C15)
    states = np.array([1234567], np.uint64) + golden * np.arange(3, dtype=np.uint64)

    assert _mix(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_uniform_numbers_are_uniform_and_unrelated_between_draws_epochs_and_seeds() -> None:
    draws = [(Draw.FLIP, 0, 0), (Draw.SHIFT_X, 0, 0), (Draw.FLIP, 0, 1), (Draw.FLIP, 1, 0)]
    columns = np.stack(
        [random_uniform(KEYS, draw, seed=seed, epoch=epoch) for draw, seed, epoch in draws]
    )

    assert columns.min() >= 0
    assert columns.max() < 1
    assert np.histogram(columns[0], bins=10, range=(0, 1))[0].tolist() == pytest.approx(
        [400] * 10, abs=80
    )
    assert np.corrcoef(columns) == pytest.approx(np.eye(4), abs=0.06)  # 4 standard errors


sizes = st.integers(1, 500)


@given(
    sizes,
    sizes,
    st.floats(0.05, 0.99),
    st.floats(1, 4),
    st.integers(0, 2**40),
    st.integers(0, 1000),
)
def test_a_crop_lies_in_the_image_whatever_its_size(
    height: int, width: int, scale_min: float, ratio_max: float, seed: int, epoch: int
) -> None:
    count = 20
    heights, widths = np.full(count, height), np.full(count, width)
    augmentation = Augmentation(scale_min=scale_min, ratio_max=ratio_max)

    top, left, h, w = draw_views(
        augmentation, KEYS[:count], heights, widths, seed=seed, epoch=epoch
    ).boxes_N4.T

    assert (top >= 0).all() and (left >= 0).all() and (h > 0).all() and (w > 0).all()
    assert (top + h <= height).all() and (left + w <= width).all()


def test_crops_keep_to_the_area_and_aspect_asked_for() -> None:
    heights = widths = np.full(len(KEYS), 300)

    views = draw_views(Augmentation(scale_min=0.25), KEYS, heights, widths, seed=0, epoch=0)

    _, _, h, w = views.boxes_N4.T
    area, ratio = h * w / 300**2, w / h
    assert area.min() == pytest.approx(0.25, abs=0.01)
    assert 0.95 < area.max() <= 1
    assert (ratio.min(), ratio.max()) == (
        pytest.approx(3 / 4, abs=0.02),
        pytest.approx(4 / 3, abs=0.02),
    )
    assert np.log(ratio).mean() == pytest.approx(0, abs=0.02)


def test_shifts_and_flips_take_every_value_equally_often() -> None:
    sides = np.full(len(KEYS), 32)

    views = draw_views(Augmentation(shift_px=2, flip=True), KEYS, sides, sides, seed=0, epoch=0)

    values, counts = np.unique(views.shifts_N2, return_counts=True)
    assert values.tolist() == [-2, -1, 0, 1, 2]
    assert counts.tolist() == pytest.approx([1600] * 5, abs=160)
    assert views.flips_N.mean() == pytest.approx(0.5, abs=0.04)


def drawn_numbers(epoch: int) -> dict[str, Array]:
    """Everything that is drawn for 4,000 images, each brought to [0, 1)."""
    augmentation = Augmentation(
        scale_min=0.25, flip=True, shift_px=2, rotation_deg=30, zoom=0.2, shear_deg=10,
        brightness=0.4, contrast=0.3, saturation=0.5, cutout_px=8,
    )  # fmt: skip
    sides = np.full(len(KEYS), 1000)
    views = draw_views(augmentation, KEYS, sides, sides, seed=0, epoch=epoch)
    top, left, height, width = views.boxes_N4.T
    numbers = {"top": top / (1001 - height), "left": left / (1001 - width)}
    numbers |= {"flip": 1 - 0.5 * views.flips_N, "down": views.shifts_N2[:, 0] / 5 + 0.4}
    for name, column, middle, limit in (
        ("rotation", views.rotations_N, 0, 30),
        ("zoom", views.zooms_N, 1, 0.2),
        ("shear", views.shears_N, 0, 10),
        ("brightness", views.brightness_N, 1, 0.4),
        ("contrast", views.contrast_N, 1, 0.3),
        ("saturation", views.saturation_N, 1, 0.5),
    ):
        numbers[name] = (column - middle) / (2 * limit) + 0.5
    return numbers | {"cutout down": views.cutouts_N2[:, 0], "cutout right": views.cutouts_N2[:, 1]}


@pytest.mark.parametrize(
    "name", [name for name in drawn_numbers(0) if name not in ("flip", "down")]
)
def test_what_is_drawn_from_a_range_is_uniform_over_the_whole_of_it(name: str) -> None:
    numbers = drawn_numbers(0)[name]

    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert chisquare(np.histogram(numbers, bins=20, range=(0, 1))[0]).pvalue > 0.001


def test_no_two_draws_of_an_image_are_related_nor_are_its_epochs() -> None:
    columns = np.stack([*drawn_numbers(0).values(), *drawn_numbers(1).values()])

    unrelated = 4.5 / np.sqrt(len(KEYS))  # standard errors, for 276 pairs
    assert np.corrcoef(columns) == pytest.approx(np.eye(len(columns)), abs=unrelated)


def test_nothing_is_flipped_or_moved_unless_asked_for() -> None:
    sides = np.full(len(KEYS), 32)

    views = draw_views(Augmentation(), KEYS, sides, sides, seed=0, epoch=0)

    assert not views.flips_N.any()
    assert not views.shifts_N2.any()
    assert (views.boxes_N4 == [0, 0, 32, 32]).all()


def test_the_views_of_an_image_do_not_depend_on_its_company() -> None:
    sides = np.full(len(KEYS), 64)
    augmentation = Augmentation(scale_min=0.3, flip=True, shift_px=2)

    together = draw_views(augmentation, KEYS, sides, sides, seed=1, epoch=1)
    alone = draw_views(augmentation, KEYS[99:100], sides[:1], sides[:1], seed=1, epoch=1)

    assert alone.boxes_N4[0].tolist() == together.boxes_N4[99].tolist()
    assert alone.shifts_N2[0].tolist() == together.shifts_N2[99].tolist()


def rendered(
    image: Array, box: list[int], *, flip: bool = False, shift: tuple[int, int] = (0, 0)
) -> Array:
    out = np.empty((4, 4, 3), np.uint8)
    cut_and_resize(image, np.array(box), flip, out)
    view = centre_views(np.array([4]), np.array([4]))
    apply_effects(replace(view, shifts_N2=np.array([shift])), 0, out)
    return out[..., 0]


@pytest.fixture
def counted() -> Iterator[Array]:
    """A 6x6 image whose value at row y, column x is 10 y + x."""
    yield np.repeat(
        (10 * np.arange(6)[:, None] + np.arange(6)).astype(np.uint8)[..., None], 3, axis=2
    )


def test_a_box_of_the_right_size_is_cut_out_as_it_is(counted: Array) -> None:
    assert rendered(counted, [1, 2, 4, 4])[0].tolist() == [12, 13, 14, 15]


def test_a_flip_mirrors_left_and_right(counted: Array) -> None:
    assert rendered(counted, [1, 2, 4, 4], flip=True)[0].tolist() == [15, 14, 13, 12]


def test_a_shift_moves_down_and_right_and_repeats_the_edge(counted: Array) -> None:
    assert rendered(counted, [0, 0, 4, 4], shift=(1, -2)).tolist() == [
        [2, 3, 3, 3],
        [2, 3, 3, 3],
        [12, 13, 13, 13],
        [22, 23, 23, 23],
    ]


@pytest.mark.parametrize("shape", [(4, 4), (9, 5), (5, 9), (3, 2), (64, 41)])
def test_the_evaluation_view_is_the_centre_square_of_the_pixel_policy(
    shape: tuple[int, int],
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    views = draw_views(None, KEYS[:1], np.array([shape[0]]), np.array([shape[1]]), seed=0, epoch=0)

    assert np.array_equal(
        rendered(image, views.boxes_N4[0]), centre_square(image, side_px=4)[..., 0]
    )
