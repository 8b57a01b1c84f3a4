from __future__ import annotations

import io

import pytest
from PIL import Image

from pipeline_lib.pixels import PixelRules, Undecodable, decode


def test_a_side_longer_than_a_beton_can_hold_is_refused_by_its_header() -> None:
    file = io.BytesIO()
    Image.new("L", (65_501, 2)).save(file, "PNG")

    with pytest.raises(Undecodable, match="65501 x 2, the longest side is 65500 px"):
        decode(file.getvalue(), PixelRules())
