"""Classify image files, with the same pixels as in training and without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from pipeline_lib.errors import BadData, PipelineError, SourceMissing
from pipeline_lib.harness.shard_workers import REASON_OF_DEATH, At, shared_name, work_on_shards
from pipeline_lib.networks.exported import ExportedModel, load_exported
from pipeline_lib.networks.model_file import MODEL_FILE, ModelFile
from pipeline_lib.pixels import KeptSize, PixelRules, Undecodable, centre_square, decode
from pipeline_lib.reasons import Reason

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
    """The five best guesses for a file, best first (fewer with fewer classes); none if there is a `fault`."""

    file: Path
    guesses: tuple[Guess, ...]
    fault: PipelineError | None = None


def predict(files: Sequence[Path], model_folder: Path) -> list[Prediction]:
    """Return one prediction per file, in the order of `files`; a file that cannot be read has a fault.

    Raises BadData if the model folder (evaluate's export) is missing or damaged.
    """
    model = load_exported(model_folder)
    batches = {f"batch {n}": _Batch(tuple(some)) for n, some in enumerate(_batched(list(dict.fromkeys(files))))}
    # in a process of its own: what a hostile image does to its decoder, it does there
    work = work_on_shards(
        partial(_read_batch, about=model.about), batches, workers=1, step=int, spare=_Batch.without, little=True
    )
    answers = {file: answer for _, read in work for file, answer in _predict_batch(read, model)}
    return [answers[file] for file in files]


@dataclass(frozen=True)
class _Batch:
    """Files to read at once. fatal: `shared_name` of a file -> what decoding it ended the process with, twice."""

    files: tuple[Path, ...]
    fatal: Mapping[str, str] = field(default_factory=dict)

    def without(self, name: str, cause: str) -> _Batch:
        return replace(self, fatal={**self.fatal, name: cause})


_Pixels = npt.NDArray[np.uint8]


def _read_batch(batch: _Batch, at: At, *, about: ModelFile) -> list[tuple[Path, _Pixels | PipelineError]]:
    """The pixels of each file, or its fault."""
    read: list[tuple[Path, _Pixels | PipelineError]] = []
    for file in batch.files:
        if cause := batch.fatal.get(shared_name(str(file))):
            reason = REASON_OF_DEATH.get(cause, Reason.DECODER_CRASHED)
            read.append((file, _unusable(file, reason, f"decoding it ended the process twice ({cause})")))
            continue
        at(str(file))
        try:
            read.append((file, read_pixels(file, about)))
        except PipelineError as fault:
            read.append((file, fault))
    return read


def read_pixels(file: Path, about: ModelFile) -> npt.NDArray[np.uint8]:
    """Return a file's pixels (HWC, uint8), decoded and resized by the rules that the model was trained with.

    If `convert` re-encoded its images as JPEG, that small loss is not repeated here.

    Raises SourceMissing, or BadData with the reason code of the decoder.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SourceMissing("cannot be read", file=file, value=error.strerror, remedy="name an image file") from error
    rules, kept = _pixel_rules(about)
    try:
        pixels_HWC = decode(data, rules).pixels_HWC
    except Undecodable as error:
        raise _unusable(file, error.reason, error.detail) from error
    return centre_square(kept.apply(pixels_HWC), side_px=about.side_px)


def _unusable(file: Path, reason: Reason, detail: str) -> BadData:
    remedy = "name an image (JPEG, PNG, WebP, GIF, BMP, TIFF) that other programs show"
    return BadData(f"no usable image: {reason}", file=file, value=detail, remedy=remedy)


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


def _predict_batch(
    read: Sequence[tuple[Path, _Pixels | PipelineError]], model: ExportedModel
) -> Iterator[tuple[Path, Prediction]]:
    readable, pixels = [], []
    for file, answer in read:
        if isinstance(answer, PipelineError):
            yield file, Prediction(file, (), answer)
        else:
            readable.append(file)
            pixels.append(answer)
    if readable:
        for file, p_K in zip(readable, model.probabilities(np.stack(pixels)), strict=True):
            yield file, Prediction(file, _guesses(p_K, model.about))


def _guesses(p_K: npt.NDArray[np.float32], about: ModelFile) -> tuple[Guess, ...]:
    best = np.argsort(-p_K, kind="stable")[:BEST]
    return tuple(Guess(about.classes[k], about.names[k], float(p_K[k])) for k in best)


def _batched(files: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(files), FILES_AT_ONCE):
        yield files[start : start + FILES_AT_ONCE]
