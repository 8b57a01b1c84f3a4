"""Images that come in several forms are remarked with what leaves forms out."""

from __future__ import annotations

import pytest

from pipeline_lib.survey.companions import companions

NUMBERS = range(8)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([f"cat/{n}.{e}" for n in NUMBERS for e in ("jpg", "png")], "16 images have the name .*--exclude '\\*.png'"),
        ([f"cat/{n}_{f}.png" for n in NUMBERS for f in ("rgb", "depth")], "8 images come in .*'\\*_depth\\*'"),
        ([f"cat/a{n}{f}.jpg" for n in NUMBERS for f in ("", "_flip", "_rot90")], "a0_flip, cat/a0_rot.*'\\*_flip\\*'"),
    ],
)  # fmt: skip
def test_images_of_one_name_are_remarked(names: list[str], said: str) -> None:
    import re

    (sentence,) = companions(names)

    assert re.search(said, sentence)


@pytest.mark.parametrize(
    "names",
    [
        [f"cat/{n}.jpg" for n in NUMBERS],
        [f"cat/IMG_{n}.jpg" for n in NUMBERS],
        [f"{c}_{n}.jpg" for n in NUMBERS for c in ("cat", "dog")],
        [f"cat/{n}.{'jpg' if n % 2 else 'png'}" for n in NUMBERS],
        [f"cat/{n}_{n % 3}.jpg" for n in NUMBERS],
        [f"{n}_cat.jpg" if n % 2 else f"{n}_dog.jpg" for n in NUMBERS],
    ],
)
def test_ordinary_names_are_not_remarked(names: list[str]) -> None:
    assert companions(names) == []
