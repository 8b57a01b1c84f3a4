"""What the first stage already says of a training that cannot begin."""

import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.errors import ConfigError, PipelineError, SourceMissing
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.settings import Settings
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.preflight import look_ahead


def ahead(folder: Path, **params: Any) -> None:
    look_ahead(StageRun(folder, {}, {}, TrainParams(**params), Settings(root=folder, device="cpu")))


@pytest.mark.parametrize(
    ("params", "kind", "said"),
    [
        (
            {"network": "resnet19"},
            ConfigError,
            "train.network: no such network .found: resnet19.*nearest: resnet1",
        ),
        (
            {"network": "vit_b_16", "side_px": 100},
            ConfigError,
            "vit_b_16 cannot take images of 100 px",
        ),
        (
            {"weights": "w.pth", "weights_sha256": "0" * 64},
            SourceMissing,
            "train.weights: no such file",
        ),
        ({"weights": "torchvision:Res.No"}, ConfigError, "torchvision has no such weights"),
        (
            {"weights": "registered:7", "weights_sha256": "0" * 64},
            PipelineError,
            "no model was registered yet",
        ),
        (
            {"teacher": "runs/7", "teacher_sha256": "0" * 64},
            SourceMissing,
            "train.teacher: no such model",
        ),
    ],
)
def test_what_is_named_and_cannot_be_had_is_told_before_there_are_images(
    tmp_path: Path, params: dict[str, Any], kind: type[PipelineError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        ahead(tmp_path, **params)


def test_a_gpu_that_is_asked_for_and_absent_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    settings = Settings(root=tmp_path).model_copy(update={"device": "cuda"})

    with pytest.raises(ConfigError, match="no CUDA device is available"):
        look_ahead(StageRun(tmp_path, {}, {}, TrainParams(), settings))


def test_a_recipe_as_it_comes_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "pipeline_lib.networks.build", raising=False)

    ahead(tmp_path, recipe="quick", epochs=3)

    assert "pipeline_lib.networks.build" not in sys.modules
