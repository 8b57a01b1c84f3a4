"""Corruptions: keyed by image, stronger with each strength, at every side; and as they are shown to a model."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from pipeline_lib.loader.augmentation import image_keys
from pipeline_lib.shift import corruptions
from pipeline_lib.shift.corruptions import corrupt
from pipeline_lib.shift.names import KINDS, STRENGTHS, Kind, corrupted_set, extra_set
from pipeline_lib.shift.shown import show
from pipeline_lib.tables.selection import SELECTION
from testing.small_line import SmallLine

SIDES = (28, 32, 224, 400)


def made_image(side: int) -> npt.NDArray[np.uint8]:
    """Smooth areas, edges and details, in colour."""
    random = np.random.default_rng(side)
    few = random.integers(40, 216, (5, 5, 3), dtype=np.uint8)
    image = np.array(Image.fromarray(few).resize((side, side), Image.Resampling.BICUBIC))
    image[side // 4 : side // 2, side // 4 : side // 2] = (230, 30, 60)
    image[:: max(side // 8, 2), side // 2 :] = 20
    return image


def distance(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    return float(np.abs(a.astype(int) - b).mean())


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_strength_is_farther_from_the_image_than_the_one_before(kind: Kind, side: int) -> None:
    image = made_image(side)
    kept = image.copy()

    far = [distance(corrupt(image, kind, strength, key=7), image) for strength in STRENGTHS]

    assert 0 < far[0] < far[1] < far[2]
    assert (image == kept).all()


def test_noise_has_the_stated_deviation_and_another_one_for_each_image() -> None:
    grey = np.full((224, 224, 3), 128, np.uint8)

    noisy = [corrupt(grey, "noise", 1, key=key).astype(float) for key in (1, 2)]

    assert noisy[0].std() == pytest.approx(255 * corruptions.NOISE_SHADES[0], rel=0.01)
    assert (noisy[0] != noisy[1]).any()


def test_fog_is_a_mixture_with_grey_and_brightness_a_factor_or_its_inverse() -> None:
    image = np.array([[[0, 100, 200]]], np.uint8)

    assert corrupt(image, "fog", 1, key=0).tolist() == [[[98, 153, 208]]]
    assert corrupt(image, "brightness", 1, key=0).tolist() == [[[0, 67, 133]]]
    assert corrupt(image, "brightness", 1, key=1).tolist() == [[[0, 150, 255]]]


def test_a_point_out_of_focus_becomes_a_disc_of_the_same_light() -> None:
    image = np.zeros((224, 224, 3), np.uint8)
    image[100:120, 100:120] = 250

    blurred = corrupt(image, "blur", 2, key=0)

    assert blurred.sum(dtype=float) == pytest.approx(image.sum(dtype=float), rel=0.01)
    assert blurred[94, 110].all()  # 6 px away
    assert not blurred[93, 110].any()


def test_jpeg_at_224_px_is_of_the_quality_of_imagenet_c() -> None:
    image = made_image(224)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=25)

    assert (corrupt(image, "jpeg", 1, key=0) == np.array(Image.open(file))).all()


@pytest.mark.parametrize(("batch_size", "loader", "workers"), [(3, "python", 2), (40, "native", 1)])
def test_an_image_is_corrupted_alike_in_any_order_and_batch_and_by_any_loader(
    small_line: SmallLine, batch_size: int, loader: str, workers: int
) -> None:
    ids = list(SELECTION.read(small_line.folder / "selection/test.parquet")["image_id"])[:7]
    names = [corrupted_set("noise", 2), corrupted_set("brightness", 3), extra_set("other")]
    pairs = [(name, image_id) for name in names for image_id in ids]
    wanted = pd.DataFrame(pairs, columns=["test_set", "image_id"])
    mixed = wanted.sample(frac=1, random_state=3).set_index(np.arange(100, 121))
    plain = _shown(small_line, wanted[wanted["test_set"] == names[2]], 7, "native", 1)

    first = _shown(small_line, wanted, 7, "native", 1)
    again = _shown(small_line, mixed, batch_size, loader, workers)

    assert first == again
    for (name, image_id), pixels in first.items():
        original = np.frombuffer(plain[names[2], image_id], np.uint8).reshape(32, 32, 3)
        key = int(image_keys([image_id])[0])
        kind = name.split("/")[1]
        expected = original if kind == "other" else corrupt(original, kind, int(name[-1]), key=key)  # type: ignore[arg-type]
        assert pixels == expected.tobytes()


def _shown(
    line: SmallLine, wanted: pd.DataFrame, batch_size: int, loader: str, workers: int
) -> dict[tuple[str, str], bytes]:
    found: dict[tuple[str, str], bytes] = {}
    for shown in show(
        line.folder / "betons",
        wanted,
        side_px=32,
        batch_size=batch_size,
        loader=loader,  # type: ignore[arg-type]
        workers=workers,
    ):
        rows = wanted.loc[shown.rows_B]
        assert tuple(rows["image_id"]) == shown.image_ids
        for name, image_id, pixels in zip(
            rows["test_set"], rows["image_id"], shown.images_BHWC.numpy(), strict=True
        ):
            found[name, image_id] = pixels.tobytes()
    assert len(found) == len(wanted)
    return found
