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
from pipeline_lib.evaluate.unlike import Remarking
from pipeline_lib.files.atomic import atomic_file
from pipeline_lib.networks.classifier import Calibrated
from pipeline_lib.networks.exported import ONNX_FILE, PROBABILITIES, UNLIKE, ExportedModel
from pipeline_lib.networks.infer import parts_for

ALLOWED_DP = (
    1e-3  # float32 rounding gave 7e-7; a wrong pixel order or normalisation gives 0.1 and more
)
# On average over the images: rounding may carry one past a validation image, which is 1 / 20 of 19 of them.
ALLOWED_DUNLIKE = 0.01


@dataclass(frozen=True)
class Parity:
    """How well onnxruntime repeats torch: share of equal answers (0..1) and largest difference of a probability.

    mean_abs_dunlike: mean difference of the share that says how unlike an image is; 0 where the model does not tell.
    """

    n: int
    argmax_agreement: float
    max_abs_dp: float
    mean_abs_dunlike: float


def export_onnx(model: Calibrated | Remarking, folder: Path, *, side_px: int) -> None:
    """Write folder/model.onnx: `images` uint8 [batch, side, side, 3] -> `probabilities` float32 [batch, K].

    From Remarking also -> `unlike` float32 [batch], as networks/exported.py's Answers says.
    """
    import onnx

    tells_unlike = isinstance(model, Remarking)
    example_BHWC = torch.zeros(2, side_px, side_px, 3, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export's own deprecations
        program = torch.onnx.export(
            model.eval(),
            (example_BHWC,),
            input_names=["images"],
            output_names=[PROBABILITIES, UNLIKE] if tells_unlike else [PROBABILITIES],
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
    model: Calibrated | Remarking, exported: ExportedModel, images_BHWC: npt.NDArray[np.uint8]
) -> Parity:
    """Run both on the same images.

    Raises BadData when a probability differs by more than 0.001, or `unlike` by more than 0.01 on average.
    """
    model.eval()
    dps, agreeing, dunlikes = [0.0], 0, [0.0]
    for part_BHWC in parts_for(torch.device("cpu"), torch.from_numpy(images_BHWC)):
        with torch.no_grad():
            said = model(part_BHWC)
        expected_BK, unlike_B = said if isinstance(said, tuple) else (said, None)
        found = exported.answers(part_BHWC.numpy())
        found_BK = torch.from_numpy(found.probabilities_BK)
        dps.append(float((expected_BK - found_BK).abs().max()))
        agreeing += int((expected_BK.argmax(1) == found_BK.argmax(1)).sum())
        if unlike_B is not None and found.unlike_B is not None:
            dunlikes += np.abs(unlike_B.numpy() - found.unlike_B).tolist()
    dp, agreement = max(dps), agreeing / len(images_BHWC)
    dunlike = sum(dunlikes) / len(images_BHWC)
    differing = ""
    if not dp <= ALLOWED_DP:
        differing = f"probabilities differ by {dp:.2g}"
    elif not dunlike <= ALLOWED_DUNLIKE:
        differing = f"`unlike` differs by {dunlike:.2g} on average"
    if differing:
        remedy = "choose a network that exports faithfully, and report this one"
        raise BadData(
            "model.onnx does not repeat torch", file=ONNX_FILE, value=differing, remedy=remedy
        )
    return Parity(len(images_BHWC), agreement, dp, dunlike)


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
