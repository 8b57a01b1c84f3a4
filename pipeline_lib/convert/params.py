"""Parameters of `convert`: how large images are kept, and in what form."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline_lib.pixels import KeptSize


class ConvertParams(KeptSize):
    """Changing any of these rewrites every beton."""

    mode: Literal["auto", "raw", "jpg"] = Field(
        "auto",
        description="raw: exact and fast to read; jpg: a tenth of the space; auto: a mix, each image by raw_up_to_px",
    )
    raw_up_to_px: int = Field(
        64,
        ge=0,
        le=4096,
        description="mode auto: raw up to this short side (of the kept image, in pixels), jpg above",
    )
    jpeg_quality: int = Field(
        90,
        ge=50,
        le=100,
        description="quality of images that are encoded again (libjpeg's scale, 50 to 100); JPEGs that already fit "
        "are passed on as received, without their metadata",
    )

    pixelate: str | None = Field(
        None,
        pattern=r"^[\w.]+:\w+$",
        description="a detector, `module:function`, whose boxes are made unrecognisable before images are stored; "
        "pipeline_lib.convert.faces:frontal finds frontal faces (extra `faces`). null: images as they are",
    )
    pixelate_sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="sha256 of the detector's file, as `sha256sum` prints it"
    )

    @model_validator(mode="after")
    def _detector_is_pinned(self) -> Self:
        if (self.pixelate is None) != (self.pixelate_sha256 is None):
            raise ValueError("pixelate and pixelate_sha256 go together: name the detector and the sha256 of its file")
        return self

    def is_raw(self, width: int, height: int) -> bool:
        """Whether an image kept at this size is stored as raw pixels."""
        return self.mode == "raw" or (self.mode == "auto" and min(width, height) <= self.raw_up_to_px)


PARAMS = ConvertParams
