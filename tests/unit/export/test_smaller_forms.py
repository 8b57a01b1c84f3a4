"""Half precision and 8 bits: smaller files, nearly the same answers, and a judge beside them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

from pipeline_lib.export.judged import Batch, Form, judged
from pipeline_lib.export.smaller import answers_alone, eight_bit, half
from pipeline_lib.register.params import RegisterParams

Images = npt.NDArray[np.uint8]
CLASSES = [f"class {k}" for k in range(10)]


def probabilities(model: bytes, images: Images) -> npt.NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"images": images})
    return np.asarray(found)


def types(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


def forms(network: bytes, images: Images, **others: bytes) -> Sequence[Form]:
    """Judged on images whose true class is the network's own answer."""
    truth = [CLASSES[k] for k in probabilities(network, images).argmax(axis=1)]
    halves = [Batch(images[:32], truth[:32]), Batch(images[32:], truth[32:])]
    return judged(
        {"fp32": network, **others}, halves, classes=CLASSES, version=3, params=RegisterParams()
    )


def test_half_precision_is_half_as_large_and_answers_alike(network: bytes, images: Images) -> None:
    smaller = half(network)

    assert len(smaller) < 0.6 * len(network)
    assert probabilities(smaller, images).dtype == np.float32
    assert np.abs(probabilities(smaller, images) - probabilities(network, images)).max() < 0.02


def test_smaller_forms_are_made_of_what_answers_alone(
    evaluated: Path, network: bytes, images: Images
) -> None:
    whole = (evaluated / "export/model.onnx").read_bytes()

    answers = answers_alone(whole)

    assert [output.name for output in onnx.load_from_string(answers).graph.output] == [
        "probabilities"
    ]
    assert len(answers) < len(whole)
    np.testing.assert_array_equal(probabilities(answers, images), probabilities(whole, images))
    assert answers_alone(network) == network


def test_8_bits_are_a_third_of_the_size_and_answer_nearly_alike(
    network: bytes, images: Images
) -> None:
    smaller = eight_bit(network, [images[:32], images[32:]])

    assert len(smaller) < 0.45 * len(network)
    assert types(smaller).count("QuantizeLinear") >= types(network).count("Conv")
    own, found = probabilities(network, images), probabilities(smaller, images)
    assert (own.argmax(axis=1) == found.argmax(axis=1)).mean() >= 0.9


def test_weights_use_7_bits_so_that_no_processor_overflows(network: bytes, images: Images) -> None:
    model = onnx.load_from_string(eight_bit(network, [images]))

    weights = [
        onnx.numpy_helper.to_array(one)
        for one in model.graph.initializer
        if one.data_type == onnx.TensorProto.INT8 and len(one.dims) == 4
    ]
    assert len(weights) >= 5
    assert max(np.abs(one.astype(int)).max() for one in weights) <= 64


def test_the_model_itself_is_the_measure(network: bytes, images: Images) -> None:
    own, other = forms(network, images, same=network)

    assert (own.name, own.top1, own.agreement, own.max_abs_dp, own.rules) == ("fp32", 1, 1, 0, ())
    assert (other.agreement, other.max_abs_dp, other.refusal) == (1, 0, None)
    assert set(own.cpu_ms) == {1, 64}
    assert 0 < own.cpu_ms[1] < own.cpu_ms[64]


def test_a_form_that_answers_otherwise_is_refused_in_words(network: bytes, images: Images) -> None:
    proto = onnx.load_from_string(network)
    flat = [one for one in proto.graph.initializer if len(one.dims) == 4][-1]
    flat.CopyFrom(
        onnx.numpy_helper.from_array(np.zeros(tuple(flat.dims), np.float32), name=flat.name)
    )

    _, spoilt = forms(network, images, int8=proto.SerializeToString())

    assert spoilt.top1 < 0.8
    assert spoilt.refusal is not None
    assert "points worse than version 3 on the same 64 images" in spoilt.refusal


@pytest.mark.parametrize("n", [1, 3])
def test_any_number_of_images_at_once(network: bytes, images: Images, n: int) -> None:
    for smaller in (half(network), eight_bit(network, [images])):
        assert probabilities(smaller, images[:n]).shape == (n, 10)
