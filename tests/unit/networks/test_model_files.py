"""model.json and model.onnx are opened only when they are what they should be."""

import json
import platform
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline_lib.errors import BadData, ConfigError, NotFinite
from pipeline_lib.networks.device import choose_device, computed_on
from pipeline_lib.networks.exported import ExportedModel, load_exported
from pipeline_lib.networks.model_file import ModelFile, read_model_file


def _about() -> ModelFile:
    half = (0.5, 0.5, 0.5)
    return ModelFile(
        network="lenet", classes=("a", "b"), names=("A", "B"), side_px=32, mean=half, std=half,
        pixels={"short_side_px": None}, recipe={"name": "quick"}, parent=None, epoch=1,
    )  # fmt: skip


def test_a_model_description_reads_back_as_it_was_written(tmp_path: Path) -> None:
    _about().write(tmp_path)

    assert read_model_file(tmp_path) == _about()


def test_an_absent_model_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(
        BadData, match="model.json: the model is absent. Remedy: run `dvc repro evaluate`"
    ):
        read_model_file(tmp_path)


@pytest.mark.parametrize("content", [b'{"format": 2}', b"{", b"\xff\xfe"])
def test_a_model_description_of_another_form_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.json").write_bytes(content)

    with pytest.raises(BadData, match="not a model description of format 1"):
        read_model_file(tmp_path)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"side_px": 1_000_000}, "side_px: Input should be less than or equal to 4096"),
        ({"side_px": 0}, "side_px: "),
        ({"std": (0.0, 1.0, 1.0)}, "std.0: "),
        ({"mean": ("Infinity", 0.0, 0.0)}, "mean.0: "),
        ({"temperature": 0.0}, "temperature: "),
        ({"names": ("A",)}, "2 classes, but 1 names"),
    ],
)
def test_a_model_description_with_odd_values_is_refused_by_name(
    tmp_path: Path, odd: dict[str, Any], said: str
) -> None:
    (tmp_path / "model.json").write_text(json.dumps(_about().model_dump(mode="json") | odd))

    with pytest.raises(BadData, match=f"not a model description of format 1 .*{said}"):
        read_model_file(tmp_path)


def test_a_damaged_onnx_file_is_refused(tmp_path: Path) -> None:
    _about().write(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"torn")

    with pytest.raises(BadData, match="model.onnx: onnxruntime cannot open the model"):
        load_exported(tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_asking_for_a_gpu_that_is_not_there_is_an_error_and_not_a_silent_slow_run() -> None:
    with pytest.raises(
        ConfigError, match="settings.toml: no CUDA device is available.*PERENNIAL_DEVICE=auto"
    ):
        choose_device("cuda", threads=1, seed=0)


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told to keep memory"
)
def test_on_a_cpu_tensors_take_the_pages_that_earlier_ones_freed() -> None:
    choose_device("cpu", threads=1, seed=0)
    n_pages = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        held = [torch.ones(8 << 20, dtype=torch.uint8) for _ in range(20)]
        del held
        n_pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

    assert n_pages[-1] < 4000  # of 40960


class _Overflowing:
    """A session of onnxruntime whose second answer is no number."""

    def run(self, _names: list[str], _inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [np.array([[0.5, 0.5], [np.nan, np.nan]], np.float32)]


def test_an_exported_model_that_answers_no_number_says_so() -> None:
    model = ExportedModel(_about(), _Overflowing())

    with pytest.raises(
        NotFinite, match=r"model.onnx: the exported model's answer .* is not finite .*lenet, 1 of 2"
    ):
        model.probabilities(np.zeros((2, 32, 32, 3), np.uint8))


def test_a_model_says_on_what_it_was_trained() -> None:
    on = computed_on(choose_device("cpu", threads=1, seed=0))

    assert on["device"] == "cpu" and on["threads"] == 1 and on["processor"]
    assert on["instruction_set"] == torch.backends.cpu.get_cpu_capability()
    said = _about().model_copy(update={"trained_on": on}).trained_in_words()
    assert said == f"cpu, {on['processor']}, {on['instruction_set']}, 1 threads"
    assert _about().trained_in_words() == ""
