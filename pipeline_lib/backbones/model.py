"""Run a built-in backbone with ONNX Runtime on the CPU.

The model is made from the weights when it is opened, in a fraction of a second: no file of it lies anywhere that could
be of another version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.backbones.builtin import Backbone, weight_file
from pipeline_lib.backbones.lite0 import lite0_onnx
from pipeline_lib.backbones.torch_file import read_tensors


@dataclass(frozen=True)
class BuiltinModel:
    """An open backbone: its description, and its session."""

    backbone: Backbone
    session: Any

    def probabilities(self, images_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Softmax over ImageNet's classes, probabilities_BK, of RGB images of `backbone.view`; not calibrated."""
        result: NDArray[np.float32] = self.session.run(["probabilities"], {"images": images_BHWC})[
            0
        ]
        return result

    def features(self, images_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pooled features_BD of RGB images of `backbone.view`, the same bits in batches of any size."""
        result: NDArray[np.float32] = self.session.run(["features"], {"images": images_BHWC})[0]
        return result


def open_builtin(backbone: Backbone, *, threads: int = 0) -> BuiltinModel:
    """Open a backbone from its weights; 0 threads: every core. Raises DependencyMissing, BadData."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # cores are shared
    model = lite0_onnx(read_tensors(weight_file(backbone)), backbone)
    return BuiltinModel(
        backbone, onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    )
