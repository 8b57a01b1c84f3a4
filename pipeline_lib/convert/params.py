"""Parameters of `convert`: how large pictures are kept, and in what form."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline_lib.pixels import KeptSize


class ConvertParams(KeptSize):
    """Changing any of these rewrites every beton."""

    mode: Literal["auto", "raw", "jpg"] = Field(
        "auto",
        description="raw: exact and fast to read; jpg: a tenth of the space; auto: a mix, each picture by raw_up_to_px",
    )
    raw_up_to_px: int = Field(
        64,
        ge=0,
        le=4096,
        description="mode auto: raw up to this short side (of the kept picture, in pixels), jpg above",
    )
    jpeg_quality: int = Field(
        90,
        ge=50,
        le=100,
        description="quality of pictures that are encoded again (libjpeg's scale, 50 to 100); JPEGs that already fit "
        "are passed on as received, without their metadata",
    )

    def is_raw(self, width: int, height: int) -> bool:
        """Whether a picture kept at this size is stored as raw pixels."""
        return self.mode == "raw" or (self.mode == "auto" and min(width, height) <= self.raw_up_to_px)


PARAMS = ConvertParams
