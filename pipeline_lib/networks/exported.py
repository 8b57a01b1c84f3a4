"""The exported model under onnxruntime, without torch: prediction, parity and re-scoring a champion."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline_lib.errors import BadData, NotFinite
from pipeline_lib.networks.model_file import ModelFile, read_model_file

ONNX_FILE = "model.onnx"
UNLIKE_FILE = "unlike.json"
PROBABILITIES = "probabilities"
UNLIKE = "unlike"
UNLIKE_BORDER = 0.05  # an image whose share is this or less is called unlike the training images
TOO_OLD = "it was exported before that was measured; `dvc repro evaluate` exports it again"


@dataclass(frozen=True)
class Answers:
    """What a model says of B images.

    unlike_B: float32, the share (0..1) of validation images that are at least as unlike the training images; None where
    the model does not tell.
    """

    probabilities_BK: npt.NDArray[np.float32]
    unlike_B: npt.NDArray[np.float32] | None = None

    def shares(self) -> list[float | None]:
        """unlike_B as numbers of six digits: 1 / 20 in float32 is more than 0.05."""
        if self.unlike_B is None:
            return [None] * len(self.probabilities_BK)
        return [round(share, 6) for share in self.unlike_B.tolist()]


@dataclass(frozen=True)
class ExportedModel:
    """A loaded model.onnx with its description. no_unlike: why it does not tell unlike images; "" where it does."""

    about: ModelFile
    session: Any
    no_unlike: str = TOO_OLD

    def answers(self, images_BHWC: npt.NDArray[np.uint8]) -> Answers:
        """All that the model says of RGB images of about.side_px squared. Raises as `probabilities` does."""
        if self.no_unlike:
            return Answers(self.probabilities(images_BHWC))
        probabilities_BK, unlike_B = self.session.run(
            [PROBABILITIES, UNLIKE], {"images": images_BHWC}
        )
        return Answers(self._finite(probabilities_BK), unlike_B)

    def probabilities(self, images_BHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Calibrated probabilities_BK of RGB images of about.side_px squared.

        Raises NotFinite where a probability is not finite.
        """
        return self._finite(self.session.run([PROBABILITIES], {"images": images_BHWC})[0])

    def _finite(self, probabilities_BK: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        is_finite_B = np.isfinite(probabilities_BK).all(axis=1)
        if not is_finite_B.all():
            n_bad = int((~is_finite_B).sum())
            raise NotFinite(
                "the exported model's answer to some images is not finite",
                file=ONNX_FILE,
                value=f"{self.about.network}, {n_bad} of {len(probabilities_BK)} images",
                remedy="train again, then evaluate",
            )
        return probabilities_BK


def load_exported(folder: Path, *, threads: int = 0) -> ExportedModel:
    """Load an export folder on the CPU; 0 threads: every core. Raises BadData when it is absent or damaged."""
    import onnxruntime  # takes a second, so only where it is needed

    about = read_model_file(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Cores are shared, so idle threads sleep.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            str(folder / ONNX_FILE), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise BadData(
            "onnxruntime cannot open the model",
            file=folder / ONNX_FILE,
            value=error,
            remedy="run `dvc repro evaluate` again, or `dvc checkout` to restore it",
        ) from error
    tells_unlike = UNLIKE in {output.name for output in session.get_outputs()}
    return ExportedModel(about, session, "" if tells_unlike else _why_no_unlike(folder))


def _why_no_unlike(folder: Path) -> str:
    """What evaluate noted; older exports have no note."""
    path = folder / UNLIKE_FILE
    if not path.exists():
        return TOO_OLD
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["why_not"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(
            "does not say why the model tells no unlike images",
            file=path,
            value=error,
            remedy="run `dvc repro evaluate` again, or `dvc checkout` to restore it",
        ) from error
