"""What params.yaml can say of the random views that training is shown: the one description of these keys."""

from __future__ import annotations

from pydantic import Field

from pipeline_lib.params_file import Params

IN_FFCV = ("scale_min", "flip", "shift_px")  # the keys that FFCV's own Loader has transforms for


class ViewParams(Params):
    """How training views vary. The defaults vary nothing: the evaluation view."""

    scale_min: float = Field(
        1.0,
        gt=0,
        le=1,
        description="augmentation: smallest share of the image's area that a random crop shows; 1 shows the centre",
    )
    flip: bool = Field(
        False,
        description="augmentation: mirror every second view, left to right; wrong for digits, text and signs",
    )
    shift_px: int = Field(
        0,
        ge=0,
        le=64,
        description="augmentation: largest random shift of a view, either way, in pixels; its edge is repeated",
    )
    rotation_deg: float = Field(
        0.0,
        ge=0,
        le=180,
        description="augmentation: largest random rotation of a view, either way, in degrees",
    )
    zoom: float = Field(
        0.0,
        ge=0,
        le=0.9,
        description="augmentation: enlarge a view by a random factor between 1 - zoom and 1 + zoom",
    )
    shear_deg: float = Field(
        0.0,
        ge=0,
        le=60,
        description="augmentation: largest random slant of a view, either way, in degrees",
    )
    brightness: float = Field(
        0.0,
        ge=0,
        le=1,
        description="augmentation: change of brightness by a random factor between 1 - brightness and 1 + brightness",
    )
    contrast: float = Field(
        0.0,
        ge=0,
        le=1,
        description="augmentation: change of contrast by a random factor between 1 - contrast and 1 + contrast",
    )
    saturation: float = Field(
        0.0,
        ge=0,
        le=1,
        description="augmentation: change of saturation by a random factor between 1 - saturation and 1 + saturation",
    )
    cutout_px: int = Field(
        0,
        ge=0,
        le=512,
        description="augmentation: side of a grey square that hides a random part of a view, in pixels; 0 hides none",
    )

    def varied(self) -> list[str]:
        """The keys of augmentation that vary something: those whose values are not the defaults."""
        return [
            name
            for name, field in ViewParams.model_fields.items()
            if getattr(self, name) != field.default
        ]
