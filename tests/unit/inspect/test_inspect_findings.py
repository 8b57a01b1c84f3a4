"""What is found out about one image; numpy, scipy and arithmetic are the oracles."""

import hashlib
import io
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter
from scipy.fft import dctn
from scipy.linalg import eigh
from sklearn.datasets import load_sample_images

from pipeline_lib.inspect.hashes import perceptual_hashes, phash, pixel_hash
from pipeline_lib.inspect.image import examine, luminance, squeeze
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.quality import (
    _structure_tensor,
    blur_ratio,
    clipping,
    least_sharpness,
    measure,
)
from pipeline_lib.inspect.run import FORMAT_VERSION
from pipeline_lib.pixels import PixelRules
from testing.images import encoded, photo

PARAMS = InspectParams()


def hash_of(pixels: npt.NDArray[np.uint8]) -> int:
    return phash(squeeze(luminance(pixels), side_px=32))


def distance(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> int:
    return (hash_of(first) ^ hash_of(second)).bit_count()


def test_the_perceptual_hash_is_the_signs_of_the_low_frequencies_of_the_dct() -> None:
    grey = squeeze(luminance(photo()), side_px=32)
    low = dctn(grey.astype(float), norm=None)[:8, :8].ravel()
    expected = int("".join("1" if value > 0 else "0" for value in low), 2)

    assert phash(grey) == expected


def test_a_frequency_that_an_image_has_not_sets_no_bit_whatever_the_processor() -> None:
    """An image that is its own mirror image has no odd frequency across; a rounding's sign is no finding."""
    half = np.random.default_rng(0).integers(0, 256, (32, 16), dtype=np.uint8)

    bits = np.unpackbits(
        np.frombuffer(phash(np.hstack([half, half[:, ::-1]])).to_bytes(8, "big"), np.uint8)
    )

    assert not bits.reshape(8, 8)[:, 1::2].any()
    assert bits.reshape(8, 8)[:, ::2].any()
    assert phash(np.full((32, 32), 200, np.uint8)) == 1 << 63


def test_findings_of_whole_numbers_are_frozen() -> None:
    """When they change, memos would give old ones: raise inspect.run.FORMAT_VERSION with them."""
    row, column, colour = np.ogrid[:90, :120, :3]
    image = ((row * row // 7 + column * (3 + colour)) % 251).astype(np.uint8)

    found = examine("a.png", encoded(image, "PNG"), PARAMS).findings

    whole = (
        "pixel_hash",
        "phash",
        "phash_variants",
        "luminance_p1",
        "luminance_p50",
        "luminance_p99",
    )
    digest = hashlib.sha256(repr([found[name] for name in whole]).encode()).hexdigest()
    assert (FORMAT_VERSION, digest[:16]) == (11, "0ad9a4aa9fa31cda")


def test_re_encoding_resizing_and_greying_move_few_bits_and_another_image_many() -> None:
    for seed in range(5):
        pixels = photo(width=320, height=240, seed=seed)
        grey = np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))
        poor = np.asarray(Image.open(io.BytesIO(encoded(pixels, "JPEG", quality=20))))

        assert max(distance(pixels, copy) for copy in (pixels[::2, ::2], grey, poor)) <= 6
        assert distance(pixels, photo(width=320, height=240, seed=seed + 10)) >= 12


def test_a_plain_border_does_not_change_the_hash_and_a_crop_has_the_hash_of_the_originals_centre() -> (
    None
):
    for photograph in load_sample_images().images:
        original = perceptual_hashes(luminance(photograph))
        framed = perceptual_hashes(
            luminance(np.pad(photograph, ((20, 20), (20, 20), (0, 0)), constant_values=255))
        )
        height, width = photograph.shape[:2]
        cropped = perceptual_hashes(
            luminance(photograph[height // 10 : -height // 10, width // 10 : -width // 10])
        )

        assert (original.whole ^ framed.whole).bit_count() <= 6
        assert (original.crops[-1] ^ cropped.whole).bit_count() <= 6


def test_an_image_of_one_colour_has_no_border() -> None:
    flat = np.full((50, 60), 7, np.uint8)

    assert perceptual_hashes(flat).whole == phash(flat[:32, :32])


def test_the_pixel_hash_is_the_same_for_copies_that_differ_in_metadata_or_lossless_format_only() -> (
    None
):
    exif = Image.Exif()
    exif[0x010E] = "another description"
    jpeg, remuxed = encoded(photo(), "JPEG"), encoded(photo(), "JPEG", exif=exif, comment=b"hello")
    png, tiff = encoded(photo(), "PNG"), encoded(photo(), "TIFF")

    found = [
        examine("a", data, PARAMS).findings["pixel_hash"] for data in (jpeg, remuxed, png, tiff)
    ]

    assert jpeg != remuxed
    assert found[0] == found[1] != found[2] == found[3]


def test_the_pixel_hash_knows_the_shape_and_every_pixel() -> None:
    pixels = photo(width=40, height=20)
    changed = pixels.copy()
    changed[7, 7, 2] ^= 1

    assert (
        len({pixel_hash(pixels), pixel_hash(pixels.reshape(40, 20, 3)), pixel_hash(changed)}) == 3
    )


def test_luminance_percentiles_are_those_of_numpy() -> None:
    grey = photo()[..., 0]
    p1, p50, p99 = np.percentile(grey, [1, 50, 99], method="inverted_cdf")

    quality = measure(grey)

    assert (quality.luminance_p1, quality.luminance_p50, quality.luminance_p99) == (p1, p50, p99)


@pytest.mark.parametrize(("levels", "bits"), [(1, 0), (2, 1), (16, 4), (256, 8)])
def test_equally_frequent_levels_have_the_entropy_of_their_number(levels: int, bits: int) -> None:
    grey = np.resize(np.arange(levels, dtype=np.uint8), (64, 64))

    assert measure(grey).entropy_bit == pytest.approx(bits)


def test_blurred_photographs_have_a_ratio_over_a_half_sharp_ones_under_it_and_flat_ones_none() -> (
    None
):
    for photograph in load_sample_images().images:
        sharp = (
            Image.fromarray(photograph).convert("L").resize((384, 256), Image.Resampling.BICUBIC)
        )
        blurred = [sharp.filter(ImageFilter.GaussianBlur(radius_px)) for radius_px in (2, 3, 6, 12)]

        assert blur_ratio(np.asarray(sharp)) < 0.4
        assert min(blur_ratio(np.asarray(image)) for image in blurred) > 0.5
    assert blur_ratio(np.full((64, 64), 7, np.uint8)) == 0


def test_an_image_moved_in_any_direction_is_less_sharp_than_any_that_was_not() -> None:
    """Edges along the path stay: the mean over all directions, as `blur_ratio` has it, would not tell."""
    for photograph in load_sample_images().images:
        sharp = Image.fromarray(photograph).convert("L").resize((384, 256))
        path = np.zeros((11, 11), np.float32)
        path[5] = 1 / 11
        for turned in (0, 30, 90):
            still = np.asarray(
                sharp.rotate(turned, Image.Resampling.BICUBIC).crop((90, 30, 294, 226))
            )
            moved = np.asarray(cv2.filter2D(still, -1, path), np.uint8)

            assert least_sharpness(still) > 1.6
            assert least_sharpness(moved) < 1.35
            assert least_sharpness(
                np.asarray(Image.fromarray(moved).transpose(Image.Transpose.TRANSPOSE))
            ) == pytest.approx(least_sharpness(moved), rel=1e-3)
    assert least_sharpness(np.full((64, 64), 7, np.uint8)) == 0


def test_least_sharpness_is_the_least_generalised_eigenvalue_by_how_far_it_lies_under_the_greatest() -> (
    None
):
    grey = luminance(photo())

    least, greatest = eigh(
        *(_structure_tensor(grey, sigma_px=sigma) for sigma in (1.0, 2.0)), eigvals_only=True
    )

    assert least_sharpness(grey) == pytest.approx(least * np.sqrt(least / greatest))


def test_a_clipped_pixel_has_lost_a_channel_and_a_white_one_all() -> None:
    """Of 512 rows 128 are white, 64 of a bleached rose and 64 of a pure red; the rest is grey."""
    pixels = np.full((512, 512, 3), 128, np.uint8)
    pixels[:128, :, :] = 251
    pixels[128:192] = (255, 120, 130)
    pixels[192:256] = (255, 20, 30)

    found = clipping(pixels)

    assert (found.clipped_share, found.white_share) == (192 / 512, 128 / 512)


@pytest.mark.parametrize(
    ("name", "mismatch"),
    [
        ("a/1.jpg", True),
        ("a/1.JPEG", True),
        ("a/1.png", False),
        ("a/1.PNG", False),
        ("a/1", False),
        ("a/1.bin", False),
        ("a/1.heic", True),
    ],
)
def test_a_png_is_mismatched_when_its_name_says_another_image_format(
    name: str, mismatch: bool
) -> None:
    assert examine(name, encoded(photo(), "PNG"), PARAMS).findings["ext_mismatch"] == mismatch


def test_a_refused_image_has_its_reason_and_nothing_else() -> None:
    examined = examine("a.jpg", b"<html>", PARAMS)

    assert examined.findings == {"refusal": "not_image", "detail": "html"}
    assert examined.pixels_HWC is None


@pytest.mark.parametrize(
    ("size", "refusal", "detail"),
    [
        ((7, 30), "too_small", "7 x 30, the limit is 8 px"),
        ((8, 8), None, None),
        ((300, 29), "odd_aspect", "300 x 29, the limit is 10 : 1"),
        ((30, 300), None, None),
        ((20_000, 12), "odd_aspect", "20000 x 12, the limit is 10 : 1"),
    ],
)
def test_shapes_out_of_bounds_are_refused_and_still_measured(
    size: tuple[int, int], refusal: str | None, detail: str | None
) -> None:
    examined = examine("a.png", encoded(Image.new("RGB", size, "red"), "PNG"), PARAMS)

    assert (examined.findings["refusal"], examined.findings["detail"]) == (refusal, detail)
    assert examined.findings["width_px"] == size[0]
    assert (examined.pixels_HWC is None) == (refusal is not None)


def test_the_pixel_rules_are_handed_on_without_the_rest() -> None:
    rules = InspectParams(exif_orientation="ignore", max_pixels=5, min_side_px=3).pixel_rules()

    assert rules == PixelRules(exif_orientation="ignore", max_pixels=5)


@pytest.mark.parametrize("half", [{"embedding_weights": "w.pth"}, {"weights_sha256": "0" * 64}])
def test_weights_without_their_hash_or_a_hash_without_weights_are_a_mistake(
    half: dict[str, Any],
) -> None:
    with pytest.raises(
        ValueError,
        match="embedding_weights and weights_sha256 go together: name the file and what `sha256sum`",
    ):
        InspectParams(**half)
