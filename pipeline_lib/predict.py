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
from pipeline_lib.backbones.builtin import imagenet_classes
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
    return predict_items((LocalFile(str(file), file) for file in files), model, reader, best=best)


def predict_items(
    items: Iterator[Item | Pause], model: Model, reader: Reader, *, best: int = BEST
) -> Iterator[Prediction]:
    """Yield a prediction for each item, as soon as it and all before it are made. Nothing is held of what was yielded.

    Raises what concerns a whole bucket, and NotFinite.
    """
    # Images are decoded in processes of their own: what a hostile one does to its decoder, it does there.
    workers = reader.settings.worker_count()
    in_order = partial(
        work_in_order,
        units=_batched(items),
        workers=workers,
        spare=_Batch.without,
        ahead=BATCHES_AHEAD * workers,
    )
    read = partial(_read_batch, sight=model.sight, reader=reader.for_workers())
    answer = partial(_answer, model=model, best=best)
    if model.in_workers:
        for answers in in_order(partial(_predict_batch, read=read, answer=answer)):
            yield from answers
    else:
        for some in in_order(read):
            yield from answer(some)


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


Read = list[tuple[str, Pixels | PipelineError]]


def _read_batch(batch: _Batch, at: At, *, sight: Sight, reader: Reader) -> Read:
    """Return the pixels that the model sees of each item, or the item's fault."""
    read: Read = []
    for item, bytes_of in _fetched(batch.items, reader):
        # a name in bytes that are no UTF-8 is spelled in those that are, for the memory that workers share
        place = item.name.encode("utf-8", "backslashreplace").decode()
        if batch.fatal and (cause := batch.fatal.get(shared_name(place))):
            reason = REASON_OF_DEATH.get(cause, Reason.DECODER_CRASHED)
            detail = f"decoding it ended the process twice ({cause})"
            read.append((item.name, unusable(item.name, reason, detail)))
            continue
        at(place)
        try:
            read.append((item.name, sight.see(bytes_of())))
        except Undecodable as error:
            read.append((item.name, unusable(item.name, error.reason, error.detail)))
        except PipelineError as fault:
            if concerns_all(fault, item.name):
                raise
            read.append((item.name, fault))
    return read


def _predict_batch(
    batch: _Batch,
    at: At,
    *,
    read: Callable[[_Batch, At], Read],
    answer: Callable[[Read], list[Prediction]],
) -> list[Prediction]:
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


def _answer(read: Read, *, model: Model, best: int) -> list[Prediction]:
    views = [seen for _, seen in read if not isinstance(seen, PipelineError)]
    said = model.answers(np.stack(views)) if views else None
    found = iter(zip(said.probabilities_BK, said.shares(), strict=True) if said else ())
    predictions = []
    for name, seen in read:
        if isinstance(seen, PipelineError):
            predictions.append(Prediction(name, (), seen))
        else:
            p_K, unlike = next(found)
            predictions.append(Prediction(name, _guesses(p_K, model, best), unlike=unlike))
    return predictions


def _guesses(p_K: npt.NDArray[np.float32], model: Model, best: int) -> tuple[Guess, ...]:
    order = np.argsort(-p_K, kind="stable")[:best]
    return tuple(Guess(*model.classes[int(k)], float(p_K[k])) for k in order)
