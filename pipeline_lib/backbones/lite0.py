"""EfficientNet-Lite0 as an ONNX graph, straight from its weights: batch normalisation folded in, no torch needed.

A test compares it with timm's network of the same weights. Layout BHWC and uint8 come in as images are; the
normalisation is part of the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.backbones.builtin import Backbone

STRIDES: Final = (
    1,
    2,
    1,
    2,
    1,
    2,
    1,
    1,
    1,
    1,
    1,
    2,
    1,
    1,
    1,
    1,
)  # of the 16 blocks; the stem has 2
EPSILON: Final = 1e-3  # of TensorFlow's batch normalisation
RELU6: Final = ("zero", "six")
OPSET: Final = 17
IR_VERSION: Final = 9

Tensors = Mapping[str, NDArray[Any]]


class _Graph:
    """Nodes and constants as they are added; every method returns the name of its output."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors, self.nodes, self.constants = tensors, [], []  # type: Tensors, list[Any], list[Any]

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Keep float32 values under a name."""
        from onnx import numpy_helper

        self.constants.append(
            numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name)
        )
        return name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add an operator."""
        from onnx import helper

        output = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def convolution(
        self, x: str, weight: str, norm: str, *, stride: int = 1, active: bool = True
    ) -> str:
        """Convolution, batch normalisation and ReLU6, padded as TensorFlow does."""
        w_OIHW, scale_O, shift_O = self._folded(weight, norm)
        groups = len(w_OIHW) if w_OIHW.shape[1] == 1 else 1  # depthwise
        kernel = self.constant(f"{weight}.folded", w_OIHW * scale_O[:, None, None, None])
        bias = self.constant(f"{norm}.folded", shift_O)
        y = self.node(
            "Conv", x, kernel, bias, strides=[stride] * 2, group=groups, auto_pad="SAME_UPPER"
        )
        return self.node("Clip", y, *RELU6) if active else y

    def _folded(
        self, weight: str, norm: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Weights, and the scale and shift that batch normalisation applies to their outputs, in float64."""
        wide = {
            part: self.tensors[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias")
        }
        mean, variance = (
            self.tensors[f"{norm}.running_{part}"].astype(np.float64) for part in ("mean", "var")
        )
        scale_O = wide["weight"] / np.sqrt(variance + EPSILON)
        return (
            self.tensors[f"{weight}.weight"].astype(np.float64),
            scale_O,
            wide["bias"] - mean * scale_O,
        )


def lite0_onnx(tensors: Tensors, backbone: Backbone) -> bytes:
    """A model of `images` uint8 [batch, side, side, 3] -> `features` [batch, 1280], `probabilities` [batch, 1000]."""
    from onnx import TensorProto, helper

    graph = _Graph(tensors)
    graph.constant("zero", np.array(0.0))
    graph.constant("six", np.array(6.0))
    x = graph.convolution(_normalised(graph, backbone), "_conv_stem", "_bn0", stride=2)
    for number, stride in enumerate(STRIDES):
        x = _block(graph, x, f"_blocks.{number}", stride)
    x = graph.convolution(x, "_conv_head", "_bn1")
    graph.node("Flatten", graph.node("GlobalAveragePool", x), output="features")
    weight, bias = (
        graph.constant(f"_fc.{part}", tensors[f"_fc.{part}"]) for part in ("weight", "bias")
    )
    graph.node(
        "Softmax",
        graph.node("Gemm", "features", weight, bias, transB=1),
        output="probabilities",
        axis=1,
    )

    side, n_classes = backbone.side_px, len(tensors["_fc.bias"])
    made = helper.make_graph(
        graph.nodes,
        backbone.name,
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", side, side, 3])],
        [
            helper.make_tensor_value_info(
                "features", TensorProto.FLOAT, ["batch", backbone.n_features]
            ),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", n_classes]),
        ],
        graph.constants,
    )
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    return bytes(model.SerializeToString(deterministic=True))


def _normalised(graph: _Graph, backbone: Backbone) -> str:
    """Images of uint8 BHWC as the network expects them: float BCHW, minus mean, over std."""
    from onnx import TensorProto

    scale = graph.constant("scale", 1 / (255 * np.array(backbone.std)).reshape(3, 1, 1))
    shift = graph.constant("shift", (np.array(backbone.mean) / backbone.std).reshape(3, 1, 1))
    x = graph.node("Cast", "images", to=TensorProto.FLOAT)
    x = graph.node("Transpose", x, perm=[0, 3, 1, 2])
    return graph.node("Sub", graph.node("Mul", x, scale), shift)


def _block(graph: _Graph, x: str, name: str, stride: int) -> str:
    """An inverted residual: expand (except in the first), depthwise, project; plus the input if the shapes agree."""
    y = (
        graph.convolution(x, f"{name}._expand_conv", f"{name}._bn0")
        if f"{name}._bn0.bias" in graph.tensors
        else x
    )
    y = graph.convolution(y, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride)
    y = graph.convolution(y, f"{name}._project_conv", f"{name}._bn2", active=False)
    n_out, n_in = len(graph.tensors[f"{name}._bn2.bias"]), _width_in(graph.tensors, name)
    return graph.node("Add", y, x) if stride == 1 and n_in == n_out else y


def _width_in(tensors: Tensors, name: str) -> int:
    """Input channels of a block."""
    first = tensors.get(f"{name}._expand_conv.weight")
    return first.shape[1] if first is not None else len(tensors[f"{name}._depthwise_conv.weight"])
