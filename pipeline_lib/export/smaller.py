"""Smaller forms of a model.onnx: half precision, and integers of 8 bits."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline_lib.networks.exported import PROBABILITIES

Images = npt.NDArray[np.uint8]
GROUP = 8


def answers_alone(model: bytes) -> bytes:
    """Leave out what tells images unlike those trained on: distances do not fit half precision or 8 bits."""
    import onnx
    from onnx.utils import Extractor

    whole = onnx.load_from_string(model)
    if [output.name for output in whole.graph.output] == [PROBABILITIES]:
        return model
    answers = Extractor(whole).extract_model(["images"], [PROBABILITIES])
    return bytes(answers.SerializeToString(deterministic=True))


def half(model: bytes) -> bytes:
    """Weights and arithmetic in float16; images and probabilities stay as they are.

    By onnxruntime's own converter; normalisation and softmax keep float32, as sums of 256 classes do not fit 11 bits.
    """
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    smaller = convert_float_to_float16(
        onnx.load_from_string(model),
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, "Softmax"],
    )
    return bytes(smaller.SerializeToString(deterministic=True))


def eight_bit(model: bytes, batches: Iterable[Images]) -> bytes:
    """Weights and activations in 8 bits, by static quantisation of every operation that onnxruntime can quantise.

    batches: training images as the model sees them, [N, side, side, 3]. The range of an activation is a moving average
    over groups of GROUP images, so that the rarest value does not stretch it. Weights have a scale per channel and 7
    bits, so that processors without VNNI, whose 16-bit sums would overflow, give the same answers (onnxruntime's
    `reduce_range`).
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        received, prepared, done = (Path(folder, name) for name in ("a", "b", "c"))
        received.write_bytes(model)
        quant_pre_process(str(received), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(done),
            _Calibration(_in_groups(batches)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"CalibMovingAverage": True},
        )
        return done.read_bytes()


def _in_groups(batches: Iterable[Images]) -> Iterator[Images]:
    for images_BHWC in batches:
        yield from (images_BHWC[at : at + GROUP] for at in range(0, len(images_BHWC), GROUP))


class _Calibration:
    """What onnxruntime calls a CalibrationDataReader: an input of the model at a time, None at the end."""

    def __init__(self, batches: Iterable[Images]) -> None:
        self._batches: Iterator[Images] = iter(batches)

    def get_next(self) -> dict[str, Any] | None:
        images_BHWC = next(self._batches, None)
        return None if images_BHWC is None else {"images": images_BHWC}
