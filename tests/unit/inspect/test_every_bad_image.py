"""One table of everything that a source may hold in place of a sound image, and what becomes of each.

All of it goes through `inspect` and `curate` in one run: the run ends, the balance holds, and each file has exactly its
reason, or its remarks when it is kept.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from pipeline_lib.curate.decide import Curated, curate
from pipeline_lib.curate.inputs import Inputs
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.tables.features import FEATURES
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.votes import VOTES
from testing.images import encoded, photo, with_claimed_size, with_zeroed_page
from tests.unit.inspect.made_shards import inspect, make_source
from tests.unit.pixels.test_pixels_refusals import HOSTILE_PICKLE

COPIES = 12  # of the placeholder; curate.placeholder_copies is 10


def image(seed: int) -> npt.NDArray[np.uint8]:
    """A photograph of its own, so that no case is a copy of another; behind a fence, so that none is blurred."""
    pixels = photo(width=200, height=150, seed=seed)
    pixels[::10] //= 2
    pixels[:, ::10] //= 2
    return pixels


def jpeg(seed: int, **options: Any) -> bytes:
    return encoded(image(seed), "JPEG", quality=95, **options)


def png(mode: str, seed: int) -> bytes:
    return encoded(Image.fromarray(image(seed)).convert(mode), "PNG")


def moving(kind: str, seed: int) -> bytes:
    return encoded(
        image(seed), kind, save_all=True, append_images=[Image.fromarray(image(seed + 500))]
    )


def exif_of(orientation: int, *, gps: bool = False) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if gps:
        exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 33.0)})
    return exif.tobytes()


def text_bomb() -> bytes:
    body = b"k\0\0" + zlib.compress(bytes(100_000_000))
    chunk = (
        len(body).to_bytes(4, "big")
        + b"zTXt"
        + body
        + zlib.crc32(b"zTXt" + body).to_bytes(4, "big")
    )
    sound = encoded(image(30), "PNG")
    return sound[:33] + chunk + sound[33:]


def photo_unavailable() -> bytes:
    card = Image.new("RGB", (320, 240), (204, 204, 204))
    ImageDraw.Draw(card).text((60, 110), "photo unavailable", fill=(90, 90, 90), font_size=24)
    return encoded(card, "JPEG")


REFUSED = {  # name: (bytes, reason)
    "truncated.jpg": (jpeg(0)[:6000], "decode_truncated"),
    "no_end_mark.jpg": (jpeg(1)[:-2], "decode_truncated"),
    "tail_of_zeros.jpg": (jpeg(2)[:8000] + bytes(len(jpeg(2)) - 8000), "decode_truncated"),
    "zeroed_page.jpg": (with_zeroed_page(jpeg(3), start=4096), "decode_corrupt"),
    "spliced.jpg": (jpeg(4)[:6000] + jpeg(5)[9000:], "decode_corrupt"),
    "no_bytes.jpg": (b"", "empty"),
    "all_zeros.jpg": (bytes(9000), "empty"),
    "page.html.jpg": (b"<!DOCTYPE html><html><body>Please sign in</body></html>", "not_image"),
    "denied.xml.jpg": (
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        "not_image",
    ),
    "error.json.jpg": (b'{"error": "not found"}', "not_image"),
    "drawing.svg.jpg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_image"),
    "hostile.pickle.jpg": (HOSTILE_PICKLE, "not_image"),
    "program.eps.jpg": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n",
        "not_image",
    ),
    "claims_65000_squared.jpg": (
        with_claimed_size(jpeg(6), width=65_000, height=65_000),
        "too_many_pixels",
    ),
    "bomb_1_bit.png": (encoded(Image.new("1", (30_000, 30_000)), "PNG"), "too_many_pixels"),
    "1x1.png": (encoded(Image.new("RGB", (1, 1)), "PNG"), "too_small"),
    "1x3000.png": (encoded(Image.new("RGB", (1, 3000)), "PNG"), "too_small"),
    "20000x4.png": (encoded(Image.new("RGB", (20_000, 4)), "PNG"), "too_small"),
    "11_to_1.png": (encoded(np.tile(photo(width=66, height=30), (1, 5, 1)), "PNG"), "odd_aspect"),
    "float.tif": (encoded(Image.fromarray(image(7)).convert("F"), "TIFF"), "unsupported_mode"),
    "photo.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unsupported_format"),
    **{
        f"gone/{number}.jpg": (photo_unavailable() + bytes(number), "placeholder")
        for number in range(COPIES)
    },
}
KEPT = {  # name: (bytes, remarks)
    "sound.jpg": (jpeg(10), []),
    "a_png.jpg": (png("RGB", 11), ["ext_mismatch"]),
    "a_webp.jpg": (encoded(image(12), "WEBP"), ["ext_mismatch"]),
    "an_avif.jpg": (encoded(image(13), "AVIF"), ["ext_mismatch"]),
    "a_gif.jpg": (encoded(image(14), "GIF"), ["ext_mismatch"]),
    "a_jpeg.png": (jpeg(15), ["ext_mismatch"]),
    "5_to_1.jpg": (
        encoded(np.tile(photo(width=100, height=60, seed=16), (1, 3, 1)), "JPEG"),
        ["elongated"],
    ),
    "cmyk.jpg": (encoded(Image.fromarray(image(17)).convert("CMYK"), "JPEG"), []),
    "grey.png": (png("L", 18), []),
    "palette.png": (png("P", 19), []),
    "alpha.png": (png("RGBA", 20), []),
    "one_bit.png": (png("1", 21), ["low_information"]),
    "16_bit.png": (encoded(Image.fromarray(image(22)[..., 0].astype(np.uint16) * 257), "PNG"), []),
    "moving.gif": (moving("GIF", 23), ["several_frames"]),
    "moving.webp": (moving("WEBP", 24), ["several_frames"]),
    "on_its_side.jpg": (jpeg(25, exif=exif_of(6)), ["exif_rotated"]),
    "located.jpg": (jpeg(26, exif=exif_of(1, gps=True)), ["has_gps"]),
    "broken_exif.jpg": (jpeg(27, exif=exif_of(6, gps=True)[:20]), []),
    "broken_profile.jpg": (jpeg(28, icc_profile=b"no profile"), []),
    "bomb_of_text.png": (text_bomb(), []),
    "zip_behind.jpg": (jpeg(29) + b"PK\3\4 a zip", ["trailing_bytes"]),
}
CASES = {**REFUSED, **KEPT}


@dataclass(frozen=True)
class Done:
    """rows: the manifest by image_id. images: what `inspect` found, by image_id. ghostscript: its trap's mark."""

    rows: pd.DataFrame
    images: pd.DataFrame
    curated: Curated
    ghostscript: Path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("bad")
    trap = folder / "bin/gs"
    trap.parent.mkdir()
    trap.write_text(f"#!/bin/sh\ntouch {folder}/started\n")
    trap.chmod(0o755)
    make_source(folder, {f"made/{name}": data for name, (data, _) in CASES.items()}, per_shard=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(trap.parent), prepend=":")
        out = inspect(folder)
    images, members = IMAGES.read(out / "images.parquet"), MEMBERS.read(folder / "members.parquet")
    features = pd.concat([FEATURES.read(file) for file in sorted((out / "features").iterdir())])
    views = features.dropna(subset="view").set_index("image_id")["view"]
    found = Inputs(
        members=members.assign(label_received=np.where(np.arange(len(members)) % 2, "a", "b")),
        images=images,
        views=lambda image_ids: {str(name): views[name] for name in image_ids if name in views},
        features=features,
        votes=VOTES.empty(),
        overrides=(),
        class_words={},
        overrides_file=Path("overrides.csv"),
        manifest_file=Path("manifest.parquet"),
    )
    curated = curate(found, CurateParams(max_quarantine_rate=1.0, val_fraction=0.3))
    return Done(
        curated.manifest.set_index("image_id"),
        images.set_index("image_id"),
        curated,
        ghostscript=folder / "started",
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_quarantined_with_its_reason(done: Done, name: str) -> None:
    row = done.rows.loc[f"made/{name}"]

    assert (row["decision"], row["reason"]) == ("quarantine", REFUSED[name][1])
    assert row["reason"] in row["flags"]


@pytest.mark.parametrize("name", KEPT)
def test_what_can_be_used_is_kept_with_its_remarks(done: Done, name: str) -> None:
    row = done.rows.loc[f"made/{name}"]

    assert (row["decision"], row["flags"]) == ("keep", KEPT[name][1])


def test_every_file_is_accounted_for_once(done: Done) -> None:
    balance = done.curated.statistics["ledger"]

    assert balance["discovered"] == len(CASES) + 1  # and the system file that `download` refused
    assert (balance["kept"], balance["quarantined"], balance["removed"]) == (
        len(KEPT),
        len(REFUSED),
        1,
    )
    assert len(done.images) == len(CASES)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("page.html.jpg", "html"),
        ("denied.xml.jpg", "xml"),
        ("error.json.jpg", "json"),
        ("drawing.svg.jpg", "svg"),
        ("hostile.pickle.jpg", "pickle"),  # it would end the process if anything unpickled it
        ("program.eps.jpg", "eps"),
        ("photo.heic", "heic; `make setup WITH=heic` reads it"),
    ],
)
def test_what_is_no_image_is_named_for_what_it_is(done: Done, name: str, kind: str) -> None:
    assert done.images.loc[f"made/{name}", "detail"] == kind


def test_postscript_is_never_run(done: Done) -> None:
    assert not done.ghostscript.exists()


def test_16_bits_keep_their_mean(done: Done) -> None:
    median: Any = done.images.loc["made/16_bit.png", "luminance_p50"]

    assert abs(int(median) - np.median(image(22)[..., 0])) <= 1


def test_an_image_on_its_side_has_its_upright_size(done: Done) -> None:
    assert list(done.images.loc["made/on_its_side.jpg", ["width_px", "height_px"]]) == [150, 200]


def test_odd_shapes_and_animations_are_shown_to_a_person(done: Done) -> None:
    review = done.curated.review
    shown = review[review["kind"] == "quality"].set_index("image_id")["note"].to_dict()

    assert shown == {
        "made/5_to_1.jpg": "remarked: elongated",
        "made/moving.gif": "remarked: several frames",
        "made/moving.webp": "remarked: several frames",
        "made/one_bit.png": "remarked: low information",
    }


def test_all_copies_of_a_placeholder_are_one_group(done: Done) -> None:
    row = done.rows.loc["made/gone/0.jpg"]

    assert row["dup_group"] == "made/gone/0.jpg"
    assert (done.rows["dup_group"] == "made/gone/0.jpg").sum() == COPIES
