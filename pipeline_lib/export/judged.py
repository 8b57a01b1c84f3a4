"""What a smaller form of a model is worth beside the model itself: by the gate's rules, on the same test images."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline_lib.register.class_losses import class_changes
from pipeline_lib.register.gate import as_good, no_class_lost
from pipeline_lib.register.paired import Flags, compare
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import Rule

BATCHES = (1, 64)  # images at once, for which the time is measured
REPEATS = 15

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Batch:
    """images_BHWC: as the model sees them. class_ids: theirs."""

    images_BHWC: Images
    class_ids: Sequence[str]


@dataclass(frozen=True)
class Form:
    """A form of a model, measured on this machine.

    top1: 0..1. agreement: share of test images with the model's own answer. max_abs_dp: largest difference of a
    probability. cpu_ms: images at once -> CPU milliseconds of one thread, median. rules: the gate's, none for the model
    itself.
    """

    name: str
    size_bytes: int
    top1: float
    agreement: float
    max_abs_dp: float
    cpu_ms: dict[int, float]
    rules: tuple[Rule, ...] = ()

    @property
    def refusal(self) -> str | None:
        """Why it is not as good as the model, in words."""
        return next((rule.sentence for rule in self.rules if not rule.passed), None)

    def as_dict(self) -> dict[str, object]:
        """Return what export.json says of it."""
        return asdict(self) | {"refused": self.refusal}


def judged(
    forms: Mapping[str, bytes],
    batches: Iterable[Batch],
    *,
    classes: Sequence[str],
    version: int,
    params: RegisterParams,
) -> tuple[Form, ...]:
    """Measure each form on all images, which are read once, and ask the gate's two rules that compare models.

    forms: name -> ONNX; the first is the model itself. classes: class_id by output index. version: its number.
    """
    own = next(iter(forms))
    sessions = {name: _session(model, threads=0) for name, model in forms.items()}
    answers: dict[str, list[npt.NDArray[np.int64]]] = {name: [] for name in forms}
    largest_dp = dict.fromkeys(forms, 0.0)
    class_ids: list[str] = []
    for batch in batches:
        p = {name: _probabilities(one, batch.images_BHWC) for name, one in sessions.items()}
        for name, p_BK in p.items():
            answers[name].append(p_BK.argmax(axis=1))
            largest_dp[name] = max(largest_dp[name], float(np.abs(p_BK - p[own]).max()))
        class_ids += batch.class_ids
        some_BHWC = batch.images_BHWC

    index = {class_id: k for k, class_id in enumerate(classes)}
    label_N = np.array([index[class_id] for class_id in class_ids])
    answer_N = {name: np.concatenate(each) for name, each in answers.items()}
    right_N = {name: each == label_N for name, each in answer_N.items()}
    return tuple(
        Form(
            name=name,
            size_bytes=len(model),
            top1=float(right_N[name].mean()),
            agreement=float((answer_N[name] == answer_N[own]).mean()),
            max_abs_dp=largest_dp[name],
            cpu_ms={n: _cpu_ms(model, some_BHWC, n) for n in BATCHES},
            rules=()
            if name == own
            else _compared(right_N[own], right_N[name], class_ids, version, params),
        )
        for name, model in forms.items()
    )


def _compared(
    own_N: Flags, right_N: Flags, class_ids: Sequence[str], version: int, params: RegisterParams
) -> tuple[Rule, ...]:
    comparison = compare(
        own_N, right_N, champion_version=version, smallest_margin=params.smallest_margin
    )
    changes = class_changes(
        class_ids,
        own_N,
        right_N,
        significance=params.class_significance,
        hold_significance=params.class_hold_significance,
        class_loss=params.class_loss,
    )
    return as_good(comparison), no_class_lost(changes)


def _probabilities(session: Any, images_BHWC: Images) -> npt.NDArray[np.float32]:
    p_BK: npt.NDArray[np.float32] = session.run(["probabilities"], {"images": images_BHWC})[0]
    return p_BK


def _session(model: bytes, *, threads: int) -> Any:
    """threads: 0 for every core."""
    import onnxruntime  # takes a second

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _cpu_ms(model: bytes, images_BHWC: Images, n: int) -> float:
    """Median CPU time of one run on n images with one thread; images are repeated where there are fewer."""
    session = _session(model, threads=1)
    some = images_BHWC[np.arange(n) % len(images_BHWC)]
    session.run(["probabilities"], {"images": some})  # plans its memory
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        session.run(["probabilities"], {"images": some})
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times)
