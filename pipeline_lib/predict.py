"""Classify image files, with the same pixels as in training and without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from pipeline_lib.backbones import Backbone, open_builtin
from pipeline_lib.backbones.builtin import imagenet_classes
from pipeline_lib.errors import BadData, PipelineError, SourceMissing
from pipeline_lib.harness.memo import digest
from pipeline_lib.harness.shard_workers import REASON_OF_DEATH, At, shared_name, work_on_shards
from pipeline_lib.networks.exported import ONNX_FILE, UNLIKE_BORDER, Answers, load_exported
from pipeline_lib.networks.model_file import MODEL_FILE, ModelFile
from pipeline_lib.pixels import KeptSize, PixelRules, Undecodable, centre_square, decode
from pipeline_lib.reasons import Reason

BEST = 5
FILES_AT_ONCE = 64

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sight:
    """How a model sees a file. rules: how bytes become pixels HWC. view: those -> what the network looks at, HWC."""

    rules: PixelRules
    view: Callable[[Pixels], Pixels]


@dataclass(frozen=True)
class Model:
    """A model that is open. identity: another text for another model. classes: id and name by output index.

    answers: of views BHWC. no_unlike: why the model does not tell images unlike those it was trained on, where it could.
    """

    identity: str
    classes: Sequence[tuple[str, str]]
    sight: Sight
    answers: Callable[[Pixels], Answers]
    no_unlike: str = ""


@dataclass(frozen=True)
class Guess:
    """A class (its id, and its name in words) and its probability, 0..1; a trained model's is calibrated."""

    class_id: str
    name: str
    p: float


@dataclass(frozen=True)
class Prediction:
    """The best guesses for a file, best first (five, or fewer with fewer classes); none if there is a `fault`.

    unlike: share (0..1) of validation images at least as unlike the training images; None where the model does not tell.
    """

    file: Path
    guesses: tuple[Guess, ...]
    fault: PipelineError | None = None
    unlike: float | None = None

    @property
    def is_unlike(self) -> bool:
        """Whether the image is called unlike those that the model was trained on: of others, 1 in 20 is."""
        return self.unlike is not None and self.unlike <= UNLIKE_BORDER


def exported_model(folder: Path) -> Model:
    """Open evaluate's export. Raises BadData if it is missing or damaged."""
    exported = load_exported(folder)
    about = exported.about
    return Model(
        digest(folder / ONNX_FILE),
        tuple(zip(about.classes, about.names, strict=True)),
        trained_sight(about),
        exported.answers,
        exported.no_unlike,
    )


def builtin_model(backbone: Backbone) -> Model:
    """Open a built-in backbone, with ImageNet's classes. Raises DependencyMissing, BadData."""
    opened = open_builtin(backbone)
    return Model(
        backbone.sha256,
        imagenet_classes(),
        Sight(PixelRules(), backbone.view),
        partial(_without_unlike, probabilities=opened.probabilities),
    )


def published_model(ref: str) -> Model:
    """Open `torchvision:ENUM` or `timm:NAME`, which takes torch. Raises as `open_published` does."""
    from pipeline_lib.networks.published import open_published

    opened = open_published(ref, named_in="--model")
    answers = partial(_without_unlike, probabilities=opened.probabilities)
    return Model(ref, opened.classes, Sight(PixelRules(), opened.view), answers)


def _without_unlike(
    views: Pixels, *, probabilities: Callable[[Pixels], npt.NDArray[np.float32]]
) -> Answers:
    return Answers(probabilities(views))


def predict(files: Sequence[Path], model: Model) -> list[Prediction]:
    """Return one prediction per file, in the order of `files`; a file that cannot be read has a fault."""
    answers = {one.file: one for one in predict_each(files, model)}
    return [answers[file] for file in files]


def predict_each(files: Iterable[Path], model: Model, *, best: int = BEST) -> Iterator[Prediction]:
    """Yield a prediction for each different file, as it is made, in the order of `files`. best: number of guesses."""
    batches = {
        f"batch {n}": _Batch(tuple(some))
        for n, some in enumerate(_batched(list(dict.fromkeys(files))))
    }
    # Images are decoded in a process of their own: what a hostile one does to its decoder, it does there.
    work = work_on_shards(
        partial(_read_batch, sight=model.sight),
        batches,
        workers=1,
        step=int,
        spare=_Batch.without,
        little=True,
    )
    for _, read in work:
        answers = {one.file: one for one in _predict_batch(read, model, best)}
        yield from (answers[file] for file, _ in read)


@dataclass(frozen=True)
class _Batch:
    """Files to read at once. fatal: `shared_name` of a file -> what decoding it ended the process with, twice."""

    files: tuple[Path, ...]
    fatal: Mapping[str, str] = field(default_factory=dict)

    def without(self, name: str, cause: str) -> _Batch:
        return replace(self, fatal={**self.fatal, name: cause})


def _read_batch(
    batch: _Batch, at: At, *, sight: Sight
) -> list[tuple[Path, Pixels | PipelineError]]:
    """Return the pixels that the model sees of each file, or the file's fault."""
    read: list[tuple[Path, Pixels | PipelineError]] = []
    for file in batch.files:
        if cause := batch.fatal.get(shared_name(str(file))):
            reason = REASON_OF_DEATH.get(cause, Reason.DECODER_CRASHED)
            read.append(
                (file, _unusable(file, reason, f"decoding it ended the process twice ({cause})"))
            )
            continue
        at(str(file))
        try:
            read.append((file, read_pixels(file, sight)))
        except PipelineError as fault:
            read.append((file, fault))
    return read


def read_pixels(file: Path, sight: Sight) -> Pixels:
    """Return a file's pixels (HWC, uint8) as a model sees them.

    Raises SourceMissing, or BadData with the reason code of the decoder.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SourceMissing(
            "cannot be read", file=file, value=error.strerror, remedy="name an image file"
        ) from error
    try:
        pixels_HWC = decode(data, sight.rules).pixels_HWC
    except Undecodable as error:
        raise _unusable(file, error.reason, error.detail) from error
    return sight.view(pixels_HWC)


def _unusable(file: Path, reason: Reason, detail: str) -> BadData:
    remedy = "name an image (JPEG, PNG, WebP, GIF, BMP, TIFF) that other programs can open"
    return BadData(f"not a usable image: {reason}", file=file, value=detail, remedy=remedy)


def trained_sight(about: ModelFile) -> Sight:
    """Return how a trained model sees: decoded and resized as its images were.

    If `convert` re-encoded them as JPEG, that small loss is not repeated. Raises BadData.
    """
    try:
        sizes = {key: about.pixels[key] for key in KeptSize.model_fields if key in about.pixels}
        rules = PixelRules.model_validate(about.pixels.get("pixel_rules", {}))
        return Sight(
            rules,
            partial(_trained_view, kept=KeptSize.model_validate(sizes), side_px=about.side_px),
        )
    except ValidationError as error:
        fault = error.errors()[0]
        value = f"pixels.{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
        remedy = "run `dvc repro evaluate` again, or `dvc checkout` to restore it"
        raise BadData(
            "no valid pixel rules of a model", file=MODEL_FILE, value=value, remedy=remedy
        ) from error


def _trained_view(pixels_HWC: Pixels, *, kept: KeptSize, side_px: int) -> Pixels:
    return centre_square(kept.apply(pixels_HWC), side_px=side_px)


def _predict_batch(
    read: Sequence[tuple[Path, Pixels | PipelineError]], model: Model, best: int
) -> Iterator[Prediction]:
    readable, pixels = [], []
    for file, answer in read:
        if isinstance(answer, PipelineError):
            yield Prediction(file, (), answer)
        else:
            readable.append(file)
            pixels.append(answer)
    if readable:
        answers = model.answers(np.stack(pixels))
        for file, p_K, unlike in zip(
            readable, answers.probabilities_BK, answers.shares(), strict=True
        ):
            yield Prediction(file, _guesses(p_K, model, best), unlike=unlike)


def _guesses(p_K: npt.NDArray[np.float32], model: Model, best: int) -> tuple[Guess, ...]:
    order = np.argsort(-p_K, kind="stable")[:best]
    named = ((*model.classes[int(k)], float(p_K[k])) for k in order)
    return tuple(Guess(class_id, name, p) for class_id, name, p in named)


def _batched(files: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(files), FILES_AT_ONCE):
        yield files[start : start + FILES_AT_ONCE]
