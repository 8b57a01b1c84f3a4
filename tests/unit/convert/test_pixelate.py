"""What a detector finds is unrecognisable in betons, and the rest of the image is as it was."""

import hashlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pipeline_lib.betons.read import open_beton
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.convert.run import run
from pipeline_lib.errors import ConfigError
from pipeline_lib.pixels import PixelRules, decode
from pipeline_lib.pixels.pixelate import CELLS, find_boxes, pixelate
from tests.unit.convert import made_detectors
from tests.unit.convert.conftest import Inspected

Photo = Callable[[int, int, int], npt.NDArray[np.uint8]]
Encoded = Callable[..., bytes]
MODULE = "tests.unit.convert.made_detectors"
SHA256 = hashlib.sha256(Path(made_detectors.__file__).read_bytes()).hexdigest()
CORNER: dict[str, Any] = {"pixelate": f"{MODULE}:corner", "pixelate_sha256": SHA256}
NOTHING: dict[str, Any] = {"pixelate": f"{MODULE}:nothing", "pixelate_sha256": SHA256}


@pytest.fixture
def one(inspected: Inspected, photo: Photo, encoded: Encoded) -> Inspected:
    """One JPEG that could be passed on as it is."""
    inspected.put({"aa": {"a.jpg": encoded(photo(1, 60, 80))}})
    return inspected


def stored(inspected: Inspected, name: str) -> bytes:
    return bytes(open_beton(inspected.folder / name / "aa.beton").stored(0))


def test_boxes_are_made_of_few_cells_and_the_rest_stays(one: Inspected) -> None:
    run(one.job("betons", mode="raw", **CORNER))
    run(one.job("plain", mode="raw"))

    hidden, plain = (
        np.frombuffer(stored(one, name), np.uint8).reshape(60, 80, 3)
        for name in ("betons", "plain")
    )
    box = hidden[:12, :20].reshape(-1, 3)
    assert len(np.unique(box, axis=0)) <= CELLS * CELLS
    assert abs(box.mean() - plain[:12, :20].mean()) < 2
    assert np.array_equal(hidden[12:], plain[12:])
    assert np.array_equal(hidden[:, 20:], plain[:, 20:])


def test_a_jpeg_is_passed_on_where_nothing_is_found_and_encoded_again_where_something_is(
    one: Inspected,
) -> None:
    every: dict[str, dict[str, Any]] = {"plain": {}, "nothing": NOTHING, "corner": CORNER}
    for name, params in every.items():
        run(one.job(name, raw_up_to_px=0, **params))

    assert stored(one, "plain") == stored(one, "nothing") != stored(one, "corner")


def test_the_receipt_names_the_detector_and_its_sha256_and_nothing_where_there_is_none(
    one: Inspected,
) -> None:
    run(one.job("betons", **CORNER))
    run(one.job("plain"))

    described = [
        json.loads((one.folder / name / "pixels.json").read_text()) for name in ("betons", "plain")
    ]
    assert CORNER.items() <= described[0].items()
    assert "pixelate" not in described[1]


@pytest.mark.parametrize(
    ("dotted", "sha256", "complaint"),
    [
        ("pickle:loads", SHA256, r"a module outside of this repository, .* \(found: pickle\)"),
        ("PIL.Image:open", SHA256, r"a module outside of this repository, .* \(found: PIL.Image\)"),
        (
            f"{MODULE}:loads",
            SHA256,
            r"made_detectors.py: convert.pixelate: no such function \(found: loads\)",
        ),
        (
            "no.such.module:f",
            SHA256,
            r"^params.yaml: convert.pixelate: no such module \(found: no.such.module\)",
        ),
        (
            "nowhere:f",
            SHA256,
            r"no such module \(found: nowhere\)\. Remedy: write `module:function`",
        ),
        (
            f"{MODULE}:absent",
            SHA256,
            r"made_detectors.py: convert.pixelate: no such function \(found: absent\)",
        ),
        (
            f"{MODULE}:corner",
            "0" * 64,
            rf"not the one that .* \(found: {SHA256}\)\. Remedy: restore the file, or set",
        ),
    ],
)
def test_a_detector_that_is_absent_or_another_one_stops_the_stage(
    one: Inspected, dotted: str, sha256: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        run(one.job("betons", pixelate=dotted, pixelate_sha256=sha256))


@pytest.mark.parametrize("half", [{"pixelate": "a:b"}, {"pixelate_sha256": "0" * 64}])
def test_a_detector_without_its_hash_or_a_hash_without_a_detector_is_a_mistake(
    half: dict[str, str],
) -> None:
    with pytest.raises(ValueError, match="pixelate and pixelate_sha256 go together"):
        ConvertParams.model_validate(half)


@pytest.mark.skipif(
    importlib.util.find_spec("skimage") is None, reason="needs the extra `faces` (scikit-image)"
)
def test_the_face_in_a_real_photograph_is_found_and_cannot_be_found_afterwards() -> None:
    """Eileen Collins, photographed by NASA (public domain), in scikit-image; her nose is near (225, 120)."""
    import skimage.data

    data = Path(skimage.data.__file__).with_name("astronaut.png").read_bytes()
    pixels = decode(data, PixelRules()).pixels_HWC

    boxes = find_boxes(pixels, "pipeline_lib.convert.faces:frontal")
    hidden = pixelate(pixels, boxes)

    faces = [box for box in boxes if box[0] < 225 < box[2] and box[1] < 120 < box[3]]
    assert faces
    left, top, right, bottom = faces[0]
    changed = np.abs(hidden.astype(int) - pixels).mean(axis=2) > 0
    assert changed[top:bottom, left:right].mean() > 0.9
    again = find_boxes(np.asarray(Image.fromarray(hidden)), "pipeline_lib.convert.faces:frontal")
    assert not [box for box in again if box[0] < 225 < box[2] and box[1] < 120 < box[3]]
