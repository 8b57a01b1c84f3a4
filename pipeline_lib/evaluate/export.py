"""model.onnx with everything inside: normalisation, temperature, softmax. Same weights, same bytes."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pipeline_lib.errors import BadData
from pipeline_lib.files.atomic import atomic_file
from pipeline_lib.networks.classifier import Calibrated
from pipeline_lib.networks.exported import ONNX_FILE, ExportedModel

ALLOWED_DP = (
    1e-3  # float32 rounding gave 7e-7; a wrong pixel order or normalisation gives 0.1 and more
)


@dataclass(frozen=True)
class Parity:
    """How well onnxruntime repeats torch: share of equal answers (0..1) and largest difference of a probability."""

    n: int
    argmax_agreement: float
    max_abs_dp: float


def export_onnx(model: Calibrated, folder: Path, *, side_px: int) -> None:
    """Write folder/model.onnx: `images` uint8 [batch, side, side, 3] -> `probabilities` float32 [batch, K]."""
    import onnx

    example_BHWC = torch.zeros(2, side_px, side_px, 3, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export's own deprecations
        program = torch.onnx.export(
            model.eval(),
            (example_BHWC,),
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    _forget_origin(proto)
    onnx.checker.check_model(proto)
    with atomic_file(folder / ONNX_FILE) as file:
        file.write(proto.SerializeToString(deterministic=True))


def measure_parity(
    model: Calibrated, exported: ExportedModel, images_BHWC: npt.NDArray[np.uint8]
) -> Parity:
    """Run both on the same images. Raises BadData when a probability differs by more than 0.001."""
    with torch.no_grad():
        expected_BK = model.eval()(torch.from_numpy(images_BHWC)).numpy()
    found_BK = exported.probabilities(images_BHWC)
    dp = float(np.abs(expected_BK - found_BK).max())
    agreement = float((expected_BK.argmax(1) == found_BK.argmax(1)).mean())
    if not dp <= ALLOWED_DP:
        remedy = "choose a network that exports faithfully, and report this one"
        raise BadData(
            "model.onnx does not repeat torch",
            file=ONNX_FILE,
            value=f"probabilities differ by {dp:.2g}",
            remedy=remedy,
        )
    return Parity(len(images_BHWC), agreement, dp)


def _forget_origin(proto: Any) -> None:
    """Drop what names this machine, this source tree or this run: stack traces, file names, producer."""
    proto.producer_name, proto.producer_version, proto.doc_string = "perennial", "", ""
    del proto.metadata_props[:]
    graphs = [proto.graph, *proto.functions]
    for graph in graphs:
        values = (
            []
            if graph in proto.functions
            else [*graph.input, *graph.output, *graph.value_info, *graph.initializer]
        )
        for part in (graph, *graph.node, *values):
            part.doc_string = ""
            del part.metadata_props[:]
