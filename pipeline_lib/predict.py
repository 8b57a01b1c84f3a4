"""Classify image files, with the same pixels as in training and without torch."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline_lib.backbones import Backbone, open_builtin
from pipeline_lib.backbones.imagenet import imagenet_classes
from pipeline_lib.download.params import DownloadParams
from pipeline_lib.errors import PipelineError
from pipeline_lib.harness.cpu_clock import start_process_clock
from pipeline_lib.harness.memo import digest
from pipeline_lib.harness.shard_workers import REASON_OF_DEATH, At, shared_name
from pipeline_lib.harness.work_in_order import Pause, work_in_order
from pipeline_lib.networks.exported import ONNX_FILE, UNLIKE_BORDER, Answers, load_exported
from pipeline_lib.pixels import PixelRules, Undecodable
from pipeline_lib.prediction.items import Item, LocalFile, Reader, concerns_all, unusable
from pipeline_lib.prediction.sight import Pixels, Sight, trained_sight
from pipeline_lib.reasons import Reason
from pipeline_lib.settings import Settings

BEST = 5
# Images that a worker is given at once: few at first, so that a handful is shared by all workers.
FIRST_BATCHES = (1, 2, 4, 8, 16)
IMAGES_AT_ONCE = 32
# Pixels that the model answers at once in a worker, two images of 224 px: on one thread, more of these take longer each,
# since they leave the processor's cache (5.4 ms of 2, 7.7 ms of 32), but small images take less (32 px: .24 ms of 2, .22 of
# 8 or more).
PIXELS_AT_ONCE = 2 * 224 * 224
BATCHES_AHEAD = 8  # for each worker: what may wait for one image that takes its decoder long
FETCHES_AT_ONCE = 8  # of each worker: a fetch mostly waits for the network
# Workers are forked with the open model, whose session has no threads of its own then.
IN_WORKERS = sys.platform == "linux"


@dataclass(frozen=True)
class Model:
    """A model that is open. identity: another text for another model. classes: id and name by output index.

    answers: of views BHWC. in_workers: whether forked processes may call it. no_unlike: why the model does not tell
    images unlike those it was trained on, where it could.
    """

    identity: str
    classes: Sequence[tuple[str, str]]
    sight: Sight
    answers: Callable[[Pixels], Answers]
    in_workers: bool = False
    no_unlike: str = ""


@dataclass(frozen=True)
class Guess:
    """A class (its id, and its name in words) and its probability, 0..1; a trained model's is calibrated."""

    class_id: str
    name: str
    p: float


@dataclass(frozen=True)
class Prediction:
    """The best guesses for an image, best first (five, or fewer with fewer classes); none if there is a `fault`.

    name: the file, ARCHIVE/member, or the address of an object. unlike: share (0..1) of validation images at least as
    unlike the training images; None where the model does not tell.
    """

    name: str
    guesses: tuple[Guess, ...]
    fault: PipelineError | None = None
    unlike: float | None = None

    @property
    def is_unlike(self) -> bool:
        """Whether the image is called unlike those that the model was trained on: of others, 1 in 20 is."""
        return self.unlike is not None and self.unlike <= UNLIKE_BORDER

    @property
    def file(self) -> Path:
        """The name as a path."""
        return Path(self.name)


def exported_model(folder: Path) -> Model:
    """Open evaluate's export. Raises BadData if it is missing or damaged."""
    exported = load_exported(folder, threads=1 if IN_WORKERS else 0)
    about = exported.about
    return Model(
        digest(folder / ONNX_FILE),
        tuple(zip(about.classes, about.names, strict=True)),
        trained_sight(about),
        exported.answers,
        in_workers=IN_WORKERS,
        no_unlike=exported.no_unlike,
    )


def builtin_model(backbone: Backbone) -> Model:
    """Open a built-in backbone, with ImageNet's classes. Raises DependencyMissing, BadData."""
    opened = open_builtin(backbone, threads=1 if IN_WORKERS else 0)
    return Model(
        backbone.sha256,
        imagenet_classes(),
        Sight(PixelRules(), backbone.view),
        partial(_without_unlike, probabilities=opened.probabilities),
        in_workers=IN_WORKERS,
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
    return list(predict_each(files, model))


def predict_each(files: Iterable[Path], model: Model, *, best: int = BEST) -> Iterator[Prediction]:
    """Yield a prediction for each file, as it is made, in the order of `files`. best: number of guesses."""
    reader = Reader(Settings(), DownloadParams().archive_limits())
    return predict_items((LocalFile(str(file)) for file in files), model, reader, best=best)


def predict_items(
    items: Iterator[Item | Pause], model: Model, reader: Reader, *, best: int = BEST
) -> Iterator[Prediction]:
    """Yield a prediction for each item, as soon as it and all before it are made. Nothing is held of what was yielded.

    Raises what concerns a whole bucket, and NotFinite.
    """
    # Images are decoded in processes of their own: what a hostile one does to its decoder, it does there.
    workers = reader.settings.worker_count()
    asked = deque[_Batch]()  # that are not yielded yet
    in_order = partial(
        work_in_order,
        units=_noted_in(asked, _batched(items)),
        workers=workers,
        spare=_Batch.without,
        ahead=BATCHES_AHEAD * workers,
    )
    read = partial(_read_batch, sight=model.sight, reader=reader.for_workers())
    answer = partial(_answer, model=model, best=best)
    there = partial(_read_and_answer, read=read, answer=answer)
    for said in in_order(there) if model.in_workers else map(answer, in_order(read)):
        yield from _predictions(asked.popleft(), said, model)


def see_each(files: Iterable[Path], sight: Sight) -> Iterator[Pixels | PipelineError]:
    """Yield what a model sees of each file (HWC, uint8), or its fault, in their order; decoded as `predict_items` does."""
    reader = Reader(Settings(), DownloadParams().archive_limits())
    batches = (_Batch((LocalFile(str(file)),)) for file in files)
    read = partial(_read_batch, sight=sight, reader=reader.for_workers())
    workers = reader.settings.worker_count()
    for seen in work_in_order(
        read, batches, workers=workers, spare=_Batch.without, ahead=BATCHES_AHEAD * workers
    ):
        yield from seen


@dataclass(frozen=True)
class _Batch:
    """Items to read at once. fatal: `shared_name` of one -> what decoding it ended the process with, twice."""

    items: tuple[Item, ...]
    fatal: Mapping[str, str] = field(default_factory=dict)

    def without(self, name: str, cause: str) -> _Batch:
        return replace(self, fatal={**self.fatal, name: cause})


def _batched(items: Iterator[Item | Pause]) -> Iterator[_Batch | Pause]:
    """Batches of items; what is there goes at a pause."""
    sizes = iter(FIRST_BATCHES)
    size, some = next(sizes), list[Item]()
    for item in items:
        if isinstance(item, Pause):
            if some:
                yield _Batch(tuple(some))
            some = []
            yield item
            continue
        some.append(item)
        if len(some) == size:
            yield _Batch(tuple(some))
            size, some = next(sizes, IMAGES_AT_ONCE), []
    if some:
        yield _Batch(tuple(some))


def _noted_in(asked: deque[_Batch], batches: Iterator[_Batch | Pause]) -> Iterator[_Batch | Pause]:
    for batch in batches:
        if not isinstance(batch, Pause):
            asked.append(batch)
        yield batch


Read = list[Pixels | PipelineError]  # of a batch: what the model looks at, or the fault, by item


def _read_batch(batch: _Batch, at: At, *, sight: Sight, reader: Reader) -> Read:
    """Return the pixels that the model sees of each item, or the item's fault."""
    read: Read = []
    for item, bytes_of in _fetched(batch.items, reader):
        # a name in bytes that are no UTF-8 is spelled in those that are, for the memory that workers share
        place = item.name.encode("utf-8", "backslashreplace").decode()
        if batch.fatal and (cause := batch.fatal.get(shared_name(place))):
            reason = REASON_OF_DEATH.get(cause, Reason.DECODER_CRASHED)
            detail = f"decoding it ended the process twice ({cause})"
            read.append(unusable(item.name, reason, detail))
            continue
        at(place)
        try:
            read.append(sight.see(bytes_of()))
        except Undecodable as error:
            read.append(unusable(item.name, error.reason, error.detail))
        except PipelineError as fault:
            if concerns_all(fault, item.name):
                raise
            read.append(fault)
    return read


def _read_and_answer(
    batch: _Batch,
    at: At,
    *,
    read: Callable[[_Batch, At], Read],
    answer: Callable[[Read], _Said],
) -> _Said:
    views = read(batch, at)
    # What happens from here on is no image's doing, and a large network may take its time.
    at("")
    start_process_clock(0)
    return answer(views)


def _fetched(items: Sequence[Item], reader: Reader) -> Iterator[tuple[Item, Callable[[], bytes]]]:
    """Each item with what gives its bytes; some of those that come over a network are fetched meanwhile."""
    if not any(item.is_remote for item in items):
        yield from ((item, partial(item.read, reader)) for item in items)
        return
    with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
        coming = iter(items)
        fetches = deque(
            (item, pool.submit(item.read, reader)) for item in islice(coming, FETCHES_AT_ONCE)
        )
        while fetches:
            item, fetch = fetches.popleft()
            yield item, fetch.result
            for item in islice(coming, 1):
                fetches.append((item, pool.submit(item.read, reader)))


@dataclass(frozen=True)
class _Said:
    """What is said of a batch, in few objects: five guesses take longer to be sent than a small image to be decoded.

    faults: by position in the batch. Of the others: classes_NT, p_NT, the best classes, best first; unlike, see Prediction.
    """

    faults: Mapping[int, PipelineError]
    classes_NT: npt.NDArray[np.int64]
    p_NT: npt.NDArray[np.float32]
    unlike: Sequence[float | None]


def _answer(read: Read, *, model: Model, best: int) -> _Said:
    faults = {n: seen for n, seen in enumerate(read) if isinstance(seen, PipelineError)}
    views = [seen for seen in read if not isinstance(seen, PipelineError)]
    at_once = max(1, len(views))
    if model.in_workers and views:
        at_once = max(1, PIXELS_AT_ONCE // (views[0].shape[0] * views[0].shape[1]))
    parts = [
        model.answers(np.stack(views[start : start + at_once]))
        for start in range(0, len(views), at_once)
    ]
    p = [part.probabilities_BK for part in parts]
    p_NK = np.concatenate(p) if p else np.empty((0, len(model.classes)), np.float32)
    classes_NT = np.argsort(-p_NK, axis=1, kind="stable")[:, :best]
    unlike = [share for part in parts for share in part.shares()]
    return _Said(faults, classes_NT, np.take_along_axis(p_NK, classes_NT, axis=1), unlike)


def _predictions(batch: _Batch, said: _Said, model: Model) -> Iterator[Prediction]:
    answers = zip(said.classes_NT.tolist(), said.p_NT.tolist(), said.unlike, strict=True)
    for n, item in enumerate(batch.items):
        if n in said.faults:
            yield Prediction(item.name, (), said.faults[n])
            continue
        classes, p, unlike = next(answers)
        named = ((*model.classes[k], p_k) for k, p_k in zip(classes, p, strict=True))
        guesses = tuple(Guess(class_id, name, p_k) for class_id, name, p_k in named)
        yield Prediction(item.name, guesses, unlike=unlike)
