"""Which way up, and whether a position is given away; broken metadata never costs the image."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.ExifTags import IFD, Base

from pipeline_lib.pixels import PixelRules, decode
from testing.images import RULES, encoded, photo

ORIENTATIONS = range(1, 9)


def exif_of(orientation: int = 1, *, gps: bool = False) -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    if gps:
        exif.get_ifd(IFD.GPSInfo).update({1: "N", 2: (47.0, 22.0, 33.0)})
    return exif


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_images_are_turned_upright_as_pillow_turns_them(kind: str, orientation: int) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(photo(width=33, height=21), kind, exif=exif_of(orientation), **options)

    decoded = decode(data, RULES)

    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert decoded.exif_orientation == orientation
    assert decoded.pixels_HWC.shape == upright.shape
    assert np.abs(decoded.pixels_HWC - upright.astype(int)).max() <= 2


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_rule_ignore_leaves_pixels_as_stored_and_still_tells_the_orientation(
    orientation: int,
) -> None:
    pixels = photo(width=33, height=21)

    decoded = decode(
        encoded(pixels, "PNG", exif=exif_of(orientation)), PixelRules(exif_orientation="ignore")
    )

    assert np.array_equal(decoded.pixels_HWC, pixels)
    assert decoded.exif_orientation == orientation


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_position_in_exif_is_seen(kind: str) -> None:
    assert decode(encoded(photo(), kind, exif=exif_of(gps=True).tobytes()), RULES).has_gps
    assert not decode(encoded(photo(), kind, exif=exif_of()), RULES).has_gps


def test_orientation_and_position_are_read_from_both_byte_orders() -> None:
    exif = exif_of(6, gps=True)
    exif.endian = ">"

    decoded = decode(encoded(photo(), "JPEG", exif=exif.tobytes()), RULES)

    assert (decoded.exif_orientation, decoded.has_gps) == (6, True)


def test_an_orientation_outside_1_to_8_counts_as_upright() -> None:
    assert decode(encoded(photo(), "JPEG", exif=exif_of(9)), RULES).exif_orientation == 1


def test_corrupt_exif_and_profile_keep_the_image_and_print_nothing(tmp_path: Path) -> None:
    good = exif_of(6, gps=True).tobytes()
    blocks = [good[:cut] for cut in range(7, len(good), 7)] + [
        b"Exif\0\0" + bytes(40),
        b"Exif\0\0II*\0\xff\xff\xff\xff",
    ]
    for number, block in enumerate(blocks):
        for kind in ("JPEG", "PNG"):
            data = encoded(photo(width=24, height=24), kind, exif=block, icc_profile=b"no profile")
            (tmp_path / f"{number}.{kind}").write_bytes(data)

    done = decode_all_in_a_process(tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, f"decoded {2 * len(blocks)}\n", "")


def test_refused_files_print_nothing_either(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(encoded(Image.new("1", (12_000, 12_000)), "PNG"))
    (tmp_path / "tags.tif").write_bytes(encoded(photo(), "TIFF")[:300])
    (tmp_path / "header.tif").write_bytes(b"II*\0" + bytes([255] * 40))

    done = decode_all_in_a_process(tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "decoded 0\n", "")


def decode_all_in_a_process(folder: Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import contextlib, pathlib, sys\n"
        "from pipeline_lib.pixels import PixelRules, Undecodable, decode\n"
        "count = 0\n"
        "for file in pathlib.Path(sys.argv[1]).iterdir():\n"
        "    with contextlib.suppress(Undecodable):\n"
        "        decode(file.read_bytes(), PixelRules())\n"
        "        count += 1\n"
        "print('decoded', count)"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=False
    )
