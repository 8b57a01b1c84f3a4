"""The best labels for pictures in files, with the pixels of training and without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from pipeline_lib.errors import BadData, PipelineError, SourceMissing
from pipeline_lib.networks.exported import ExportedModel, load_exported
from pipeline_lib.networks.model_file import MODEL_FILE, ModelFile
from pipeline_lib.pixels import KeptSize, PixelRules, Undecodable, centre_square, decode

BEST = 5
FILES_AT_ONCE = 64


@dataclass(frozen=True)
class Guess:
    """A class (its id, and its name in words) and its calibrated probability, 0..1."""

    class_id: str
    name: str
    p: float


@dataclass(frozen=True)
class Prediction:
    """The five best guesses for a file, best first (fewer with fewer classes); none where `fault` says why."""

    file: Path
    guesses: tuple[Guess, ...]
    fault: PipelineError | None = None


def predict(files: Sequence[Path], model_folder: Path) -> list[Prediction]:
    """One prediction per file, in the order of `files`; a file that cannot be read has its own fault.

    Raises BadData when the model folder (evaluate's export) is absent or damaged.
    """
    model = load_exported(model_folder)
    answers = {file: answer for batch in _batched(files) for file, answer in _predict_batch(batch, model)}
    return [answers[file] for file in files]


def read_pixels(file: Path, about: ModelFile) -> npt.NDArray[np.uint8]:
    """The pixels (HWC, uint8) that the model sees of a file, decoded and sized by the rules it was trained with.

    Where `convert` encoded its pictures again, the small loss of that JPEG is not repeated.

    Raises SourceMissing, or BadData with the reason code of the decoder.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SourceMissing("cannot be read", file=file, value=error.strerror, remedy="name a picture file") from error
    rules, kept = _pixel_rules(about)
    try:
        pixels_HWC = decode(data, rules).pixels_HWC
    except Undecodable as error:
        remedy = "name a picture (JPEG, PNG, WebP, GIF, BMP, TIFF) that other programs show"
        raise BadData(f"no usable picture: {error.reason}", file=file, value=error.detail, remedy=remedy) from error
    return centre_square(kept.apply(pixels_HWC), side_px=about.side_px)


def _pixel_rules(about: ModelFile) -> tuple[PixelRules, KeptSize]:
    """How bytes become pixels, and the size at which `convert` kept them. Raises BadData."""
    try:
        sizes = {key: about.pixels[key] for key in KeptSize.model_fields if key in about.pixels}
        return PixelRules.model_validate(about.pixels.get("pixel_rules", {})), KeptSize.model_validate(sizes)
    except ValidationError as error:
        fault = error.errors()[0]
        value = f"pixels.{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
        remedy = "run `dvc repro evaluate` again, or `dvc checkout` to restore it"
        raise BadData("not the pixel rules of a model", file=MODEL_FILE, value=value, remedy=remedy) from error


def _predict_batch(files: Sequence[Path], model: ExportedModel) -> Iterator[tuple[Path, Prediction]]:
    readable, pixels = [], []
    for file in files:
        try:
            pixels.append(read_pixels(file, model.about))
            readable.append(file)
        except PipelineError as fault:
            yield file, Prediction(file, (), fault)
    if readable:
        for file, p_K in zip(readable, model.probabilities(np.stack(pixels)), strict=True):
            yield file, Prediction(file, _guesses(p_K, model.about))


def _guesses(p_K: npt.NDArray[np.float32], about: ModelFile) -> tuple[Guess, ...]:
    best = np.argsort(-p_K, kind="stable")[:BEST]
    return tuple(Guess(about.classes[k], about.names[k], float(p_K[k])) for k in best)


def _batched(files: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(files), FILES_AT_ONCE):
        yield files[start : start + FILES_AT_ONCE]
