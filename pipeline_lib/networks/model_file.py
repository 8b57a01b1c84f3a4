"""model.json: all that is needed beside the weights to repeat a model's answers. Loads no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from pipeline_lib.errors import BadData
from pipeline_lib.files.atomic import write_text

MODEL_FILE = "model.json"
MOST_SIDE_PX = 4096  # a side beyond it is a mistake or an attack: what is opened is resized to it
Positive = Annotated[FiniteFloat, Field(gt=0)]


class ModelFile(BaseModel):
    """The content of model.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    network: str
    classes: tuple[str, ...]  # class_id by output index
    names: tuple[str, ...]  # the same classes in words
    side_px: int = Field(ge=1, le=MOST_SIDE_PX)
    mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    std: tuple[Positive, Positive, Positive]
    pixels: dict[str, Any]  # betons/pixels.json: how bytes became pixels
    recipe: dict[str, Any]  # the resolved recipe, with seed and threads
    parent: dict[str, str] | None  # the weights it started from
    # Device, processor, instruction set, threads; None: trained before this was recorded.
    trained_on: dict[str, str | int] | None = None
    epoch: int  # the epoch whose weights were kept, from 1; 0: only the head was trained
    temperature: Positive | None = None  # set by evaluate

    @model_validator(mode="after")
    def _named(self) -> Self:
        if len(self.names) != len(self.classes):
            raise ValueError(f"{len(self.classes)} classes, but {len(self.names)} names")
        return self

    def trained_in_words(self) -> str:
        """The machine it was trained on: `cpu, AMD EPYC, AVX512, 2 threads`; "" where that was not recorded."""
        on = self.trained_on
        if not on:
            return ""
        return (
            f"{on['device']}, {on['processor']}, {on['instruction_set']}, {on['threads']} threads"
        )

    def write(self, folder: Path) -> None:
        """Write folder/model.json."""
        write_text(
            folder / MODEL_FILE,
            json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n",
        )


def read_model_file(folder: Path) -> ModelFile:
    """Read folder/model.json. Raises BadData when it is absent or not of this format."""
    path = folder / MODEL_FILE
    remedy = "run `dvc repro evaluate` again, or `dvc checkout` to restore it"
    try:
        return ModelFile.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadData("the model is absent", file=path, remedy=remedy) from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise BadData(
            "not a model description of format 1",
            file=path,
            value=_first(error),
            remedy=remedy,
        ) from error


def _first(error: ValidationError | UnicodeDecodeError) -> str:
    """The first fault: the key and what is wrong with it."""
    if isinstance(error, UnicodeDecodeError):
        return str(error)
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
