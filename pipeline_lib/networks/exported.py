"""The exported model under onnxruntime, without torch: prediction, parity and re-scoring a champion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline_lib.errors import BadData, NotFinite
from pipeline_lib.networks.model_file import ModelFile, read_model_file

ONNX_FILE = "model.onnx"


@dataclass(frozen=True)
class ExportedModel:
    """A loaded model.onnx with its description."""

    about: ModelFile
    session: Any

    def probabilities(self, images_BHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Calibrated probabilities_BK of RGB images of about.side_px squared.

        Raises NotFinite where a probability is not finite.
        """
        probabilities_BK: npt.NDArray[np.float32] = self.session.run(
            ["probabilities"], {"images": images_BHWC}
        )[0]
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
    return ExportedModel(about, session)
