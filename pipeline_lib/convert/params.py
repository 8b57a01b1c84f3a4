"""Parameters of `convert`: the size and the form in which images are stored."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline_lib.pixels import KeptSize


class ConvertParams(KeptSize):
    """The size and the form in which images are stored. Changing any of these rewrites every beton."""

    mode: Literal["auto", "raw", "jpg"] = Field(
        "auto",
        description="form in which images are stored; raw: exact and fast to read; jpg: a tenth of the space; "
        "auto: raw up to raw_up_to_px, jpg above",
    )
    raw_up_to_px: int = Field(
        64,
        ge=0,
        le=4096,
        description="short side of the stored image, pixels, up to which mode auto stores raw pixels instead of jpg",
    )
    jpeg_quality: int = Field(
        90,
        ge=50,
        le=100,
        description="JPEG quality of re-encoded images (libjpeg's scale); JPEGs that already fit are stored as "
        "received, without their metadata",
    )

    pixelate: str | None = Field(
        None,
        pattern=r"^[\w.]+:\w+$",
        description="detector, as `module:function`, of what to make unrecognisable before images are stored; "
        "pipeline_lib.convert.faces:frontal finds frontal faces (extra `faces`). null: nothing is pixelated",
    )
    pixelate_sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="sha256 of the file with the detector, as `sha256sum` prints it",
    )

    @model_validator(mode="after")
    def _detector_is_pinned(self) -> Self:
        if (self.pixelate is None) != (self.pixelate_sha256 is None):
            raise ValueError(
                "pixelate and pixelate_sha256 go together: name the detector and the sha256 of its file"
            )
        return self

    def is_raw(self, width: int, height: int) -> bool:
        """Whether an image stored at this size is stored as raw pixels."""
        return self.mode == "raw" or (
            self.mode == "auto" and min(width, height) <= self.raw_up_to_px
        )


PARAMS = ConvertParams
