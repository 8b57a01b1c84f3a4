"""A photograph on a screen, cut from a corner, turned or captioned is found where a network proposes it."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images

from pipeline_lib.curate.duplicate_keypoints import keypoints, matched_place
from pipeline_lib.curate.duplicate_looks import Looks, looks_at
from pipeline_lib.curate.duplicate_neighbours import neighbour_pairs
from pipeline_lib.curate.duplicates import group_duplicates
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.inspect.small_view import small_view
from tests.unit.curate.made_tables import MadeImage, make_found, make_rows

TEMPLE, FLOWER = (
    Image.fromarray(pixels).crop((0, 0, 640, 420)) for pixels in load_sample_images().images
)


def corner(image: Image.Image) -> Image.Image:
    return image.crop((64, 42, 640, 420))


def turned(image: Image.Image) -> Image.Image:
    return image.rotate(3, Image.Resampling.BICUBIC, expand=True, fillcolor="white")


def captioned_over(image: Image.Image) -> Image.Image:
    copy = image.copy()
    pen = ImageDraw.Draw(copy)
    pen.rectangle((0, 350, 640, 420), fill="white")
    pen.text((20, 360), "only today", fill="black", font_size=40)
    return copy


def captioned_below(image: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", (640, 510), "white")
    canvas.paste(image)
    ImageDraw.Draw(canvas).text((30, 440), "only today", fill="black", font_size=40)
    return canvas


def on_a_screen(image: Image.Image) -> Image.Image:
    screen = Image.new("RGB", (400, 700), "#f2f2f7")
    pen = ImageDraw.Draw(screen)
    pen.text((10, 5), "9:41", fill="black", font_size=16)
    pen.text((60, 40), "somebody", fill="black", font_size=20)
    screen.paste(image.resize((400, 262)), (0, 90))
    pen.text((10, 380), "two comments on it", fill="gray", font_size=16)
    return screen


def in_a_viewer(image: Image.Image) -> Image.Image:
    window = Image.new("RGB", (900, 500), "white")
    ImageDraw.Draw(window).rectangle((0, 0, 900, 30), fill="gray")
    window.paste(image, (130, 40))
    return window


CHANGES = (corner, turned, captioned_over, captioned_below, on_a_screen, in_a_viewer)


def looks(*images: Image.Image) -> Looks:
    views = [small_view(np.asarray(image)) or b"" for image in images]
    aspects = [image.width / image.height for image in images]
    return looks_at(views.__getitem__, aspects.__getitem__, variants=True)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_an_altered_photograph_is_a_copy_and_the_one_with_an_addition_is_told(
    change: Callable[[Image.Image], Image.Image],
) -> None:
    look = looks(change(FLOWER), FLOWER)

    assert look.within(0, 1).is_copy
    assert look.framed([(0, 1)]) == (frozenset() if change is corner else {0})


def test_a_whole_copy_is_likelier_than_a_larger_image_of_the_same() -> None:
    """A blurred copy may agree with its original alone: a group that a crop joins first would keep it out."""
    look = looks(FLOWER, FLOWER.resize((160, 105)), FLOWER.crop((100, 60, 600, 400)))

    assert look.within(0, 2).is_copy
    assert look.anywhere(0, 1).score > look.within(0, 2).score + 0.2


@pytest.mark.parametrize("change", [on_a_screen, captioned_below], ids=["screen", "caption"])
def test_two_photographs_in_one_frame_are_no_copies(
    change: Callable[[Image.Image], Image.Image],
) -> None:
    """Bars, buttons and text are equal to the pixel, and have the most distinct keypoints."""
    found = looks(change(FLOWER), change(TEMPLE)).within(0, 1)

    assert not found.is_copy
    assert not found.is_question


def test_two_photographs_with_another_lower_half_are_no_captioned_copies() -> None:
    other = FLOWER.copy()
    other.paste(TEMPLE.crop((0, 210, 640, 420)), (0, 210))

    assert not looks(FLOWER, other).within(0, 1).is_copy


def test_a_place_depends_on_the_two_images_alone() -> None:
    """RANSAC draws its samples from a generator that begins anew at each call."""
    first, second = (
        keypoints(np.asarray(image.resize((96, 96))), aspect=image.width / image.height)
        for image in (FLOWER, turned(FLOWER))
    )
    place = matched_place(first, second)
    matched_place(second, first)

    assert place is not None
    np.testing.assert_array_equal(matched_place(first, second), place)


def test_neighbours_in_cells_are_those_of_all_pairs_and_the_most_alike_are_left() -> None:
    rng = np.random.default_rng(0)
    subjects = rng.normal(size=(500, 32)).repeat(4, axis=0)
    vectors_ND = (subjects + 0.2 * rng.normal(size=subjects.shape)).astype(np.float32)

    everywhere, in_cells = (
        {tuple(pair) for pair in neighbour_pairs(vectors_ND, all_pairs=limit).tolist()}
        for limit in (2000, 100)
    )

    of_one_subject = {(a, b) for a in range(2000) for b in range(a + 1, a - a % 4 + 4)}
    assert everywhere == of_one_subject
    assert len(of_one_subject - in_cells) < 0.02 * len(of_one_subject)
    closest = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.0, 1.01]], np.float32)
    assert neighbour_pairs(closest, most=1).tolist() == [[2, 3]]


def test_neighbours_of_a_network_are_looked_at_and_those_in_gradients_are_not() -> None:
    shown = {"s/a": FLOWER, "s/b": on_a_screen(FLOWER), "s/c": TEMPLE}
    images = [MadeImage(name) for name in shown]
    rows, features = make_rows(images), make_found(images).features.set_index("image_id")
    for name, image in shown.items():
        rows.loc[name, ["width_px", "height_px"]] = image.size

    def framed(kind: str, **params: bool) -> list[str]:
        groups = group_duplicates(
            rows,
            features.assign(kind=kind),
            lambda names: {name: small_view(np.asarray(shown[name])) or b"" for name in names},
            CurateParams(**params),
        )
        copies = groups.frame[groups.frame["dup_group"].notna()]
        return (
            copies.index[copies["framed"]].tolist() if set(copies.index) == {"s/a", "s/b"} else []
        )

    assert framed("embedding:0123456789ab") == ["s/b"]
    assert framed("embedding:0123456789ab", dup_variants=False) == []
    assert framed("hog") == []
