"""model.json: all that is needed beside the weights to repeat what a model saw and says. Loads no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline_lib.atomic_files import write_text
from pipeline_lib.errors import BadData

NAME = "model.json"


class ModelFile(BaseModel):
    """The content of model.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    network: str
    classes: tuple[str, ...]  # class_id by output index
    names: tuple[str, ...]  # the same classes in words
    side_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pixels: dict[str, Any]  # betons/pixels.json: how bytes became pixels
    recipe: dict[str, Any]  # the resolved recipe, with seed and threads
    parent: dict[str, str] | None  # the weights it started from
    trained_on: dict[str, str | int] | None = (
        None  # device, processor, instruction set, threads; None: before it was kept
    )
    epoch: int  # the epoch whose weights were kept, 1-based
    temperature: float | None = None  # set by evaluate

    def trained_in_words(self) -> str:
        """On what it was trained: `cpu, AMD EPYC, AVX512, 2 threads`; "" where that was not kept."""
        on = self.trained_on
        return f"{on['device']}, {on['processor']}, {on['instruction_set']}, {on['threads']} threads" if on else ""

    def write(self, folder: Path) -> None:
        """Write folder/model.json."""
        write_text(folder / NAME, json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n")


def read_model_file(folder: Path) -> ModelFile:
    """Read folder/model.json. Raises BadData when it is absent or of another form."""
    path = folder / NAME
    remedy = "run `dvc repro evaluate` again, or `dvc checkout` to restore it"
    try:
        return ModelFile.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadData("the model is absent", file=path, remedy=remedy) from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise BadData(
            "not a model description of format 1", file=path, value=str(error)[:200], remedy=remedy
        ) from error
