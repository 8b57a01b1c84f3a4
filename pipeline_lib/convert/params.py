"""Parameters of `convert`: how large pictures are kept, and in what form."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline_lib.params_file import Params


class ConvertParams(Params):
    """Changing any of these rewrites every beton."""

    short_side_px: int | None = Field(
        None,
        ge=8,
        le=4096,
        description="pictures shrink to this short side, in pixels, and never grow; null keeps their size",
        json_schema_extra={"visible": True},
    )
    mode: Literal["auto", "raw", "jpg"] = Field(
        "auto",
        description="raw: exact and fast to read; jpg: a tenth of the space; auto: raw up to a short side of 64 px",
    )
    jpeg_quality: int = Field(
        90, ge=50, le=100, description="quality of pictures that are encoded again (libjpeg's scale, 50 to 100)"
    )


PARAMS = ConvertParams
