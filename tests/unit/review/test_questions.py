"""What the review page is made of: the right questions, keys, copies and answers, and no metadata."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline_lib.pixels import pixelate
from pipeline_lib.pixels.pixelate import Pixelation
from pipeline_lib.review import gather, render_page
from tests.unit.review.conftest import EVIL, FORMULA

SCRIPT = re.compile(r'<script type="application/json" id="([\w-]+)">(.*?)</script>', re.DOTALL)


def blocks(page: str) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in SCRIPT.findall(page)}


def asked(files: dict[str, Path], most: int = 100) -> list[tuple[str, str]]:
    return [(one.kind, one.image_id) for one in gather(files, most=most).asked]


def test_questions_come_by_kind_and_urgency_and_a_kind_nobody_knows_comes_last(
    files: dict[str, Path],
) -> None:
    assert asked(files) == [
        ("label_issue", f"s/{EVIL}.jpg"),
        ("label_issue", "s/formula.jpg"),
        ("duplicate_conflict", "s/twin1.jpg"),
        ("near_duplicate", "s/copy.jpg"),
        ("quarantined", "s/broken.jpg"),
        ("something_new", "s/original.jpg"),
    ]


def test_of_too_many_questions_the_most_urgent_of_every_kind_are_asked(
    files: dict[str, Path],
) -> None:
    found = gather(files, most=5)

    assert len(found.asked) == 5
    assert "s/formula.jpg" not in {one.image_id for one in found.asked}
    assert found.totals["label_issue"] == 2


def test_an_image_is_named_by_its_bytes_unless_another_one_has_them_too(
    files: dict[str, Path],
) -> None:
    keys = {one.image_id: (one.key_type, one.key) for one in gather(files, most=100).asked}

    assert keys["s/formula.jpg"] == ("sha256", "a2")
    assert keys["s/twin1.jpg"] == ("image_id", "s/twin1.jpg")


def test_only_answers_that_can_be_carried_out_are_offered(files: dict[str, Path]) -> None:
    data = blocks(render_page(gather(files, most=100), name="m"))["data"]

    offered = {one["image_id"]: one["answers"] for one in data["questions"]}
    assert offered == {
        f"s/{EVIL}.jpg": ["keep", "suggestion", "relabel", "remove", "skip"],
        "s/formula.jpg": ["keep", "suggestion", "relabel", "remove", "skip"],
        "s/twin1.jpg": ["keep", "relabel", "remove", "skip"],
        "s/copy.jpg": ["copy", "relabel", "remove", "not_duplicate", "skip"],
        "s/broken.jpg": ["remove", "skip"],
        "s/original.jpg": ["keep", "relabel", "remove", "skip"],
    }


def test_copies_are_shown_with_what_became_of_them(files: dict[str, Path]) -> None:
    copy = next(one for one in gather(files, most=100).asked if one.kind == "near_duplicate")

    assert [(other.image_id, other.label, other.fate) for other in copy.copies] == [
        ("s/original.jpg", "dog", "kept, test")
    ]


def test_nothing_from_data_can_end_a_block_and_only_one_script_may_run(
    files: dict[str, Path],
) -> None:
    page = render_page(gather(files, most=100), name=EVIL)

    assert EVIL not in page
    assert blocks(page)["data"]["classes"][0] == FORMULA
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; img-src data:; style-src 'sha256-\S+'; script-src 'sha256-\S+'",
        policy[1],
    )
    assert not re.search(r'(src|href)="|url\(|https?://', page)


def test_images_hold_no_metadata(files: dict[str, Path]) -> None:
    page = render_page(gather(files, most=100), name="m")

    uris = blocks(page)["images-0"]
    images = [base64.b64decode(uri.partition(",")[2]) for uri in uris]
    assert len(images) == 6
    assert all(not Image.open(io.BytesIO(one)).getexif() for one in images)
    assert not any(b"SecretMaker" in one or b"Exif" in one for one in images)
    assert {min(Image.open(io.BytesIO(one)).size) for one in images} == {224}


def test_the_same_line_gives_the_same_page(files: dict[str, Path]) -> None:
    assert render_page(gather(files, most=100), name="m") == render_page(
        gather(files, most=100), name="m"
    )


def test_what_is_pixelated_for_training_is_so_for_reviewers(files: dict[str, Path]) -> None:
    pixelation = Pixelation("any:where", "0" * 64)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pixelate, "_detector", lambda dotted: lambda pixels: [(0, 0, 260, 300)])

        found = gather(files, most=100, pixelation=pixelation)

    shown = [uri for uri in found.images.values() if uri]
    assert shown
    for uri in shown:
        image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
        colours = image.convert("RGB").resize((6, 6), Image.Resampling.NEAREST)
        again = colours.resize(image.size, Image.Resampling.NEAREST)
        difference = np.abs(np.asarray(again, int) - np.asarray(image.convert("RGB"), int))
        assert (
            np.median(difference) < 6
        )  # six by six cells and JPEG's own noise; the noise images differ by 80
