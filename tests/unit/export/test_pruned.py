"""`--prune`: a narrower network that learned to answer as the whole one did."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch

from pipeline_lib.errors import BadData
from pipeline_lib.evaluate.export import export_onnx
from pipeline_lib.export import pruned as module
from pipeline_lib.export.pruned import TrainingViews, pruned
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Calibrated, Classifier
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.networks.saved_weights import save_weights

Images = npt.NDArray[np.uint8]
ABOUT = ModelFile(
    network="mini_resnet",
    classes=tuple("abcdefghij"),
    names=tuple("abcdefghij"),
    side_px=32,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    pixels={},
    recipe={},
    parent=None,
    epoch=1,
    temperature=0.05,
)


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export folder: weights, description, ONNX."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("received")
    network = build_network(ABOUT.network, n_classes=10, side_px=32)
    save_weights(network, folder)
    classifier = Classifier(network, mean=ABOUT.mean, std=ABOUT.std)
    export_onnx(Calibrated(classifier, temperature=0.05), folder, side_px=32)
    return folder


def probabilities(model: bytes | Path, images: Images) -> npt.NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["probabilities"], {"images": images})[0])


def views(images: Images) -> TrainingViews:
    def epoch(_: int) -> Iterator[torch.Tensor]:
        return (torch.from_numpy(images[at : at + 16]) for at in range(0, 64, 16))

    return TrainingViews(4, epoch)


def cut(received: Path, images: Images, *, epochs: int) -> bytes:
    return pruned(received, ABOUT, views(images), share=0.3, epochs=epochs, progress_every_s=60)


def test_a_pruned_model_is_smaller_and_fine_tuning_brings_its_answers_back(
    received: Path, images: Images
) -> None:
    whole = probabilities(received / "model.onnx", images)

    hasty, patient = (cut(received, images, epochs=n) for n in (1, 12))

    assert len(patient) < 0.6 * (received / "model.onnx").stat().st_size
    assert probabilities(patient, images).shape == (64, 10)
    far, near = (np.abs(probabilities(one, images) - whole).mean() for one in (hasty, patient))
    assert near < 0.7 * far


def test_the_same_cut_gives_the_same_bytes(received: Path, images: Images) -> None:
    assert cut(received, images, epochs=1) == cut(received, images, epochs=1)


def test_a_network_that_cannot_be_cut_is_refused_with_what_else_there_is(
    received: Path, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_a_head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 10))
    monkeypatch.setattr(module, "build_network", lambda *_, **__: only_a_head)
    monkeypatch.setattr(module, "load_weights", lambda *_: None)

    with pytest.raises(BadData, match="mini_resnet: the channels of this network cannot be cut"):
        cut(received, images, epochs=1)
