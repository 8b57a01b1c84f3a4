"""The built-in backbone: a small network trained on ImageNet; set-up installs its weights.

builtin.py says which there are and finds their files, torch_file.py reads them, lite0.py makes a network of them for
ONNX Runtime, model.py runs it: nothing here loads torch. Training takes the same weights under timm's names.
"""

from __future__ import annotations

from pipeline_lib.backbones.builtin import (
    BUILTIN,
    EFFICIENTNET_LITE0,
    Backbone,
    builtin_backbone,
    is_installed,
    weight_file,
)
from pipeline_lib.backbones.model import BuiltinModel, open_builtin

__all__ = [
    "BUILTIN",
    "EFFICIENTNET_LITE0",
    "Backbone",
    "BuiltinModel",
    "builtin_backbone",
    "is_installed",
    "open_builtin",
    "weight_file",
]
