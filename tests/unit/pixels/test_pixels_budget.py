"""Images that cost the processor more than any photograph: each attack, and its refusal before a pixel is decoded."""

import io
import struct
import time
import zlib
from typing import Any

import pytest
from PIL import Image

from pipeline_lib.pixels import Undecodable, budget, decode
from testing.images import RULES, encoded, progressive_jpeg, refusal


def tiff_of(n_frames: int, *, circle: bool = False) -> bytes:
    """A grey TIFF of 8 x 8 pixels and this many directories, which share their pixels."""
    entries = [
        (256, 8),
        (257, 8),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 8),
        (279, 64),
    ]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    size_bytes = 2 + len(directory) + 4
    starts = [72 + size_bytes * number for number in range(n_frames)]
    following = [*starts[1:], starts[0] if circle else 0]
    frames = b"".join(
        struct.pack("<H", len(entries)) + directory + struct.pack("<I", after)
        for after in following
    )
    return b"II*\0" + struct.pack("<I", 72) + bytes(range(64)) + frames


def gif_of(n_frames: int) -> bytes:
    plain = encoded(Image.new("P", (8, 8)), "GIF")
    start = plain.index(b",")
    return plain[:start] + plain[start:-1] * n_frames + b";"


def webp_of(n_frames: int) -> bytes:
    pixels = encoded(Image.new("RGB", (8, 8)), "WEBP", lossless=True)[12:]
    size = (7).to_bytes(3, "little") * 2
    frame = bytes(6) + size + (1).to_bytes(3, "little") + b"\0" + pixels
    frame = b"ANMF" + struct.pack("<I", len(frame)) + frame
    body = (
        b"WEBPVP8X\x0a\0\0\0\2\0\0\0"
        + size
        + b"ANIM"
        + struct.pack("<IIH", 6, 0, 0)
        + frame * n_frames
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def png_of(n_chunks: int, *, name: bytes = b"tEXt", content: bytes = b"a\0b") -> bytes:
    """A grey PNG with this many further chunks before its pixels."""
    plain = encoded(Image.new("L", (8, 8)), "PNG")
    chunk = (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )
    return plain[:33] + chunk * n_chunks + plain[33:]


ATTACKS = {
    "a TIFF of 40,000 frames": (tiff_of(40_000), "more than 10000 frames"),
    "a GIF of 40,000 frames": (gif_of(40_000), "more than 10000 frames"),
    "a WebP of 40,000 frames": (webp_of(40_000), "more than 10000 frames"),
    "a PNG of 300,000 texts": (png_of(300_000), "more than 200000 chunks"),
    "a JPEG of 490 scans": (progressive_jpeg(8000, 490), "490 scans of 64000000 pixels"),
    "a small JPEG of 501 scans": (progressive_jpeg(1024, 501), "501 scans of 1048576 pixels"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_image_of_too_much_work_is_refused_at_once(attack: str) -> None:
    data, message = ATTACKS[attack]
    before = time.process_time()

    with pytest.raises(Undecodable, match=f"^too_much_work: {message}$"):
        decode(data, RULES)

    assert time.process_time() - before < 3  # they took from 0.5 s to more than a minute


@pytest.mark.parametrize(
    ("data", "n_frames"),
    [
        (tiff_of(1), 1),
        (tiff_of(10_000), 10_000),
        (tiff_of(3, circle=True), 3),
        (gif_of(10_000), 10_000),
        (webp_of(2000), 2000),
        (png_of(1000), 1),
        (png_of(1000, name=b"IDAT", content=b""), 1),
        (progressive_jpeg(8000, 10), 1),
        (progressive_jpeg(1024, 500), 1),
    ],
)
def test_what_real_software_may_write_is_decoded(data: bytes, n_frames: int) -> None:
    assert decode(data, RULES).n_frames == n_frames


@pytest.mark.parametrize("options", [{"big_tiff": True}, {"big_tiff": False}])
def test_frames_of_a_tiff_are_counted_as_pillow_counts_them(options: dict[str, bool]) -> None:
    pages = [Image.new("L", (8 + number, 8)) for number in range(5)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], **options)

    opened: Any = Image.open(io.BytesIO(data))  # n_frames is of the formats that may have several
    assert budget.tiff_frames(data) == opened.n_frames == 5


def test_a_tiff_whose_chain_of_frames_leads_out_of_the_file_counts_those_before() -> None:
    data = tiff_of(3)

    assert budget.tiff_frames(data[:-4] + struct.pack("<I", len(data) + 100)) == 3


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.effect_noise((8, 8), 50), "PNG", icc_profile=bytes(3_000_000)),
        png_of(1, name=b"zTXt", content=b"a\0\0" + zlib.compress(bytes(50_000_000), 9)),
        png_of(1, name=b"iTXt", content=b"a\0\1\0\0\0" + zlib.compress(bytes(50_000_000), 9)),
        encoded(
            Image.new("RGB", (64, 64)),
            "JPEG",
            exif=b"Exif\0\0II*\0\x08\0\0\0" + b"\xff\xff" + bytes(60_000),
        ),
        encoded(Image.new("RGB", (64, 64)), "JPEG", icc_profile=bytes(2_000_000)),
    ],
    ids=[
        "ICC profile",
        "compressed text",
        "international text",
        "EXIF of 65,535 entries",
        "ICC profile of a JPEG",
    ],
)
def test_heavy_metadata_cost_neither_time_nor_memory(data: bytes) -> None:
    before = time.process_time()

    assert refusal(data) in ("", "decode_corrupt")

    assert time.process_time() - before < 1


def test_a_jpeg_of_many_tables_and_restart_marks_is_decoded() -> None:
    plain = encoded(Image.effect_noise((512, 512), 50), "JPEG", restart_marker_blocks=1)
    table = plain.index(b"\xff\xc4")
    end = table + 2 + int.from_bytes(plain[table + 2 : table + 4], "big")

    assert refusal(plain[:table] + plain[table:end] * 20_000 + plain[end:]) == ""


def test_libtiff_writes_nothing_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(
        encoded(Image.effect_noise((200, 200), 50).convert("1"), "TIFF", compression="group3")
    )
    data[300:1400] = bytes(
        37 * number % 256 for number in range(1100)
    )  # "Fax3Decode1D: Bad code word at line 3 ..."

    refusal(bytes(data))

    assert capfd.readouterr() == ("", "")
