"""A version with its images in DVC's cache, and a small network as ONNX."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.numpy import save_file

from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.convert.run import run as convert
from pipeline_lib.evaluate.export import export_onnx
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Calibrated, Classifier
from pipeline_lib.register.run import run as register
from pipeline_lib.settings import Settings
from testing.registries import checkout, database, name
from testing.tiny_line import TinyLine, make_line, receive

__all__ = ["checkout", "database", "name"]
SIDE_PX = 32


@pytest.fixture
def line(checkout: Path) -> TinyLine:
    """A registered model that answers with the strongest colour, and the betons of red, green and blue images."""
    made = make_line(checkout)
    files = made.files.stage_files("convert")
    settings = Settings(workers=1, loader="python")
    convert(StageRun(made.root, files.reads, files.writes, ConvertParams(), settings))
    save_file({"w": np.arange(6, dtype=np.float32)}, made.path("export") / "model.safetensors")
    receive(made)
    register(made.job())
    return made


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A residual network of random weights whose answers differ: uint8 [N, 32, 32, 3] -> probabilities [N, 10]."""
    torch.manual_seed(0)
    classifier = Classifier(
        build_network("mini_resnet", n_classes=10, side_px=SIDE_PX),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )
    folder = tmp_path_factory.mktemp("network")
    export_onnx(Calibrated(classifier, temperature=0.05), folder, side_px=SIDE_PX)
    return (folder / "model.onnx").read_bytes()


@pytest.fixture(scope="session")
def images() -> npt.NDArray[np.uint8]:
    """64 smooth images, [N, 32, 32, 3]."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (64, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)
