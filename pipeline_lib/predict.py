"""Classify image files, with the same pixels as in training and without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from pipeline_lib.backbones import Backbone, open_builtin
from pipeline_lib.backbones.builtin import imagenet_classes
from pipeline_lib.errors import BadData, PipelineError, SourceMissing
from pipeline_lib.networks.exported import ExportedModel, load_exported
from pipeline_lib.networks.model_file import MODEL_FILE, ModelFile
from pipeline_lib.pixels import KeptSize, PixelRules, Undecodable, centre_square, decode

BEST = 5
FILES_AT_ONCE = 64


@dataclass(frozen=True)
class Model:
    """What prediction needs of a model.

    classes: id and name by output index. rules: how bytes become pixels. view: decoded pixels HWC -> what the model
    sees. probabilities: views BHWC, uint8 -> probabilities BK.
    """

    classes: Sequence[tuple[str, str]]
    rules: PixelRules
    view: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]
    probabilities: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Guess:
    """A class (its id, and its name in words) and its probability, 0..1; a trained model's is calibrated."""

    class_id: str
    name: str
    p: float


@dataclass(frozen=True)
class Prediction:
    """The five best guesses for a file, best first (fewer with fewer classes); none if there is a `fault`."""

    file: Path
    guesses: tuple[Guess, ...]
    fault: PipelineError | None = None


def exported_model(folder: Path) -> Model:
    """Open evaluate's export. Raises BadData if it is missing or damaged."""
    return model_of(load_exported(folder))


def model_of(exported: ExportedModel) -> Model:
    """Return an open export as a model that sees images as `convert` sized them. Raises BadData."""
    about = exported.about
    rules, kept = _pixel_rules(about)
    return Model(
        classes=tuple(zip(about.classes, about.names, strict=True)),
        rules=rules,
        # Where `convert` encoded its images again, the small loss of that JPEG is not repeated.
        view=lambda pixels_HWC: centre_square(kept.apply(pixels_HWC), side_px=about.side_px),
        probabilities=exported.probabilities,
    )


def builtin_model(backbone: Backbone) -> Model:
    """Open a built-in backbone, with ImageNet's classes. Raises DependencyMissing, BadData."""
    opened = open_builtin(backbone)
    return Model(imagenet_classes(), PixelRules(), backbone.view, opened.probabilities)


def predict(files: Sequence[Path], model: Model) -> list[Prediction]:
    """Return one prediction per file, in the order of `files`; a file that cannot be read has a fault."""
    answers = {file: answer for batch in _batched(files) for file, answer in _predict_batch(batch, model)}
    return [answers[file] for file in files]


def read_pixels(file: Path, model: Model) -> npt.NDArray[np.uint8]:
    """Return the pixels (HWC, uint8) that the model sees of a file.

    Raises SourceMissing, or BadData with the reason code of the decoder.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SourceMissing("cannot be read", file=file, value=error.strerror, remedy="name an image file") from error
    try:
        pixels_HWC = decode(data, model.rules).pixels_HWC
    except Undecodable as error:
        remedy = "name an image (JPEG, PNG, WebP, GIF, BMP, TIFF) that other programs can open"
        raise BadData(f"not a usable image: {error.reason}", file=file, value=error.detail, remedy=remedy) from error
    return model.view(pixels_HWC)


def _pixel_rules(about: ModelFile) -> tuple[PixelRules, KeptSize]:
    """Read the model's decoding rules, and the image size that `convert` stored. Raises BadData."""
    try:
        sizes = {key: about.pixels[key] for key in KeptSize.model_fields if key in about.pixels}
        return PixelRules.model_validate(about.pixels.get("pixel_rules", {})), KeptSize.model_validate(sizes)
    except ValidationError as error:
        fault = error.errors()[0]
        value = f"pixels.{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
        remedy = "run `dvc repro evaluate` again, or `dvc checkout` to restore it"
        raise BadData("no valid pixel rules of a model", file=MODEL_FILE, value=value, remedy=remedy) from error


def _predict_batch(files: Sequence[Path], model: Model) -> Iterator[tuple[Path, Prediction]]:
    readable, pixels = [], []
    for file in files:
        try:
            pixels.append(read_pixels(file, model))
            readable.append(file)
        except PipelineError as fault:
            yield file, Prediction(file, (), fault)
    if readable:
        for file, p_K in zip(readable, model.probabilities(np.stack(pixels)), strict=True):
            yield file, Prediction(file, _guesses(p_K, model))


def _guesses(p_K: npt.NDArray[np.float32], model: Model) -> tuple[Guess, ...]:
    best = np.argsort(-p_K, kind="stable")[:BEST]
    named = ((*model.classes[int(k)], float(p_K[k])) for k in best)
    return tuple(Guess(class_id, name, p) for class_id, name, p in named)


def _batched(files: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(files), FILES_AT_ONCE):
        yield files[start : start + FILES_AT_ONCE]
