"""What cannot be used is refused with its reason, before memory is spent, and nothing is ever unpickled."""

import io
import tracemalloc
import zipfile
import zlib
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageFile

from pipeline_lib.pixels import PixelRules, Undecodable, decode, sniff
from pipeline_lib.reasons import Reason
from testing.images import RULES, encoded, photo, refusal, with_claimed_size, with_zeroed_page

# Calls exit("...") when it is unpickled: protocol 4, builtins.exit, one argument, reduce.
HOSTILE_PICKLE = b"\x80\x04\x8c\x08builtins\x8c\x04exit\x93\x8c\x10it was unpickled\x85R."


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", b"x")
    return buffer.getvalue()


DOCUMENTS = {
    "html": b"\xef\xbb\xbf  <!DOCTYPE html><html><body>Please sign in</body></html>",
    "xml": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    "svg": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    "json": b'{"error": "not found"}',
    "pickle": HOSTILE_PICKLE,
    "zip": zipped(),
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0",
    "pdf": b"%PDF-1.7\n",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "text": "ein schöner Text".encode(),
    "unknown": bytes(range(128, 250)) + b"\0",
}
OTHER_IMAGES = {
    "ico": encoded(photo(width=32, height=32), "ICO"),
    "psd": b"8BPS\0\1" + bytes(20),
    "jpeg2000": encoded(photo(width=32, height=32), "JPEG2000"),
    "pam": b"P7\nWIDTH 1\n",
    "pfm": b"PF\n1 1\n-1.0\n",
}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_or_drawing_is_no_image_and_is_named(kind: str) -> None:
    with pytest.raises(Undecodable, match=f"^not_image: {kind}$") as caught:
        decode(DOCUMENTS[kind], RULES)

    assert (caught.value.reason, caught.value.detail) == (Reason.NOT_IMAGE, kind)


@pytest.mark.parametrize("kind", OTHER_IMAGES)
def test_an_image_outside_the_list_is_an_unsupported_format(kind: str) -> None:
    with pytest.raises(Undecodable, match=f"^unsupported_format: {kind}$"):
        decode(OTHER_IMAGES[kind], RULES)


@pytest.mark.parametrize("data", [b"", bytes(1), bytes(5000)])
def test_no_bytes_or_only_zeros_are_empty(data: bytes) -> None:
    with pytest.raises(Undecodable, match="^empty: no bytes, or only zeros$"):
        decode(data, RULES)


def test_a_first_page_of_zeros_is_damage() -> None:
    with pytest.raises(
        Undecodable, match="^decode_corrupt: the first bytes are zeros, the rest is not$"
    ):
        decode(with_zeroed_page(encoded(photo(), "PNG"), start=0), RULES)


def test_a_text_cut_in_the_middle_of_a_character_is_still_text() -> None:
    assert sniff(b"x" * 4095 + "é".encode() + b"y" * 100) == "text"


def test_bombs_are_refused_by_their_header_before_any_decoder_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def decoder(*_: object, **__: object) -> None:
        pytest.fail("a pixel was asked for")

    png = encoded(Image.new("1", (30_000, 30_000)), "PNG")
    below_pillows_own_limit = encoded(Image.new("1", (12_000, 12_000)), "PNG")
    jpeg = with_claimed_size(encoded(photo(), "JPEG"), width=65_000, height=65_000)
    files = [
        png,
        below_pillows_own_limit,
        jpeg,
        with_claimed_size(jpeg, width=65_535, height=65_535),
    ]
    monkeypatch.setattr(ImageFile.ImageFile, "load", decoder)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", decoder)
    tracemalloc.start()

    found = [refusal(data) for data in files]

    assert found == ["too_many_pixels"] * 4
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\0\0II*\0"}])
def test_the_size_of_a_webp_is_read_before_pillow_makes_room_for_its_pixels(
    options: dict[str, Any],
) -> None:
    data = encoded(photo(width=70, height=50), "WEBP", **options)

    with pytest.raises(Undecodable, match="^too_many_pixels: 70 x 50, the limit is 3499 pixels$"):
        decode(data, PixelRules(max_pixels=3499))
    assert refusal(data, PixelRules(max_pixels=3500)) == ""


def test_the_refusal_of_a_large_image_names_its_size_and_the_limit() -> None:
    with pytest.raises(Undecodable, match="^too_many_pixels: 160 x 120, the limit is 1000 pixels$"):
        decode(encoded(photo(), "JPEG"), PixelRules(max_pixels=1000))


def test_a_text_bomb_in_a_png_is_never_unpacked() -> None:
    body = b"k\0\0" + zlib.compress(bytes(100_000_000))
    chunk = (
        len(body).to_bytes(4, "big")
        + b"zTXt"
        + body
        + zlib.crc32(b"zTXt" + body).to_bytes(4, "big")
    )
    png = encoded(photo(), "PNG")

    assert (decode(png[:33] + chunk + png[33:], RULES).pixels_HWC == photo()).all()


@pytest.mark.parametrize(("mode", "name"), [("F", "F"), ("I", "I")])
def test_float_and_32_bit_samples_are_an_unsupported_mode(mode: str, name: str) -> None:
    data = encoded(Image.fromarray(photo()[..., 0].copy()).convert(mode), "TIFF")

    with pytest.raises(Undecodable, match=f"^unsupported_mode: {name}$"):
        decode(data, RULES)


def test_12_bit_jpeg_and_two_components_are_an_unsupported_mode() -> None:
    jpeg = encoded(photo(), "JPEG")
    frame = jpeg.index(b"\xff\xc0")

    with pytest.raises(Undecodable, match="^unsupported_mode: 12-bit samples$"):
        decode(jpeg[: frame + 4] + b"\x0c" + jpeg[frame + 5 :], RULES)
    with pytest.raises(Undecodable, match="^unsupported_mode: 2 components$"):
        decode(jpeg[: frame + 9] + b"\x02" + jpeg[frame + 10 :], RULES)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    progressive = encoded(photo(), "JPEG", progressive=True)
    scan = progressive.rindex(b"\xff\xda")
    one_more = progressive[scan:-2]

    with pytest.raises(Undecodable, match=r"^too_much_work: \d+ scans of \d+ pixels$"):
        decode(progressive[:-2] + one_more * 600 + b"\xff\xd9", RULES)


def test_random_damage_to_any_format_is_a_verdict_and_never_another_exception() -> None:
    random = np.random.default_rng(7)
    small = PixelRules(max_pixels=500_000)
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"):
        sound = encoded(photo(width=48, height=32), kind)
        for _ in range(60):
            data = bytearray(sound)
            for place in random.integers(0, len(data), 6):
                data[place] = random.integers(256)
            refusal(bytes(data[: random.integers(len(data) // 2, len(data) + 1)]), small)
