"""The exported model under onnxruntime, without torch: prediction, parity and re-scoring a champion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline_lib.errors import BadData, NotFinite
from pipeline_lib.networks.model_file import ModelFile, read_model_file

NAME = "model.onnx"


@dataclass(frozen=True)
class ExportedModel:
    """An open model.onnx with its description."""

    about: ModelFile
    session: Any

    def probabilities(self, images_BHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Calibrated probabilities_BK of RGB images of about.side_px squared.

        Raises NotFinite where one is no number.
        """
        result: npt.NDArray[np.float32] = self.session.run(["probabilities"], {"images": images_BHWC})[0]
        if not np.isfinite(result).all():
            strange = int((~np.isfinite(result).all(axis=1)).sum())
            value = f"{self.about.network}, {strange} of {len(result)} images"
            what, remedy = "the exported model's answer to some images is not finite", "train again, then evaluate"
            raise NotFinite(what, file=NAME, value=value, remedy=remedy)
        return result


def open_exported(folder: Path, *, threads: int = 0) -> ExportedModel:
    """Open an export folder on the CPU; 0 threads: every core. Raises BadData when it is absent or damaged."""
    import onnxruntime

    about = read_model_file(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # cores are shared
    try:
        session = onnxruntime.InferenceSession(str(folder / NAME), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        remedy = "run `dvc repro evaluate` again, or `dvc checkout` to restore it"
        raise BadData("onnxruntime cannot open the model", file=folder / NAME, value=error, remedy=remedy) from error
    return ExportedModel(about, session)
