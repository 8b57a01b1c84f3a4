"""`perennial export`: what the folder holds, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from safetensors import safe_open

from flows.cli.parser import main
from pipeline_lib.export import write
from testing.tiny_line import CLASSES, TinyLine


@pytest.fixture(autouse=True)
def inside(line: TinyLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(line.root)
    monkeypatch.setenv("PERENNIAL_LOADER", "python")
    monkeypatch.setenv("PERENNIAL_WORKERS", "1")


def export(folder: Path, *options: str) -> int:
    return main(["export", "--to", str(folder), *options])


def test_both_files_say_what_they_need_to_be_used(tmp_path: Path) -> None:
    assert export(tmp_path / "out") == 0

    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == list(CLASSES)
    assert json.loads(about["names"]) == list(CLASSES)
    assert about["model"].endswith("/1")
    assert {"side_px", "mean", "std", "temperature", "kept_size", "exif_orientation"} <= set(about)
    assert "Pillow's BILINEAR" in about["resize"]
    with safe_open(tmp_path / "out" / "model.safetensors", "np") as weights:
        assert weights.metadata() == about
        assert np.array_equal(weights.get_tensor("w"), np.arange(6, dtype=np.float32))
    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert files == {"model.onnx", "model.safetensors", "serve.py"}


def test_the_answers_are_those_of_the_registered_model(tmp_path: Path, line: TinyLine) -> None:
    export(tmp_path / "out")
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)

    (ours,), (theirs,) = (
        onnxruntime.InferenceSession(folder / "model.onnx").run(None, {"images": images})
        for folder in (line.path("export"), tmp_path / "out")
    )

    assert np.array_equal(ours, theirs)


def test_smaller_forms_are_measured_on_the_test_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: TinyLine
) -> None:
    assert export(tmp_path / "out", "--fp16") == 0

    own, half = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (own["name"], half["name"], half["refused"]) == ("fp32", "fp16", None)
    assert own["top1"] == half["top1"] == 1.0
    assert (tmp_path / "out" / "model.fp16.onnx").exists()
    assert "100.00%" in capsys.readouterr().out
    left = list((line.root / ".perennial" / "export").iterdir())
    assert left == []


def test_a_form_that_the_gate_refuses_is_not_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(write, "half", _answers_otherwise)

    assert export(tmp_path / "out", "--fp16") == 3

    assert not (tmp_path / "out" / "model.fp16.onnx").exists()
    assert (tmp_path / "out" / "model.onnx").exists()
    refused = json.loads((tmp_path / "out" / "export.json").read_text())[1]["refused"]
    assert "points worse than version 1 on the same 60 images" in refused
    said = capsys.readouterr().err
    assert "not written: fp16" in said
    assert refused in said


def _answers_otherwise(model: bytes) -> bytes:
    """The model with its channels reversed: blue for red."""
    import onnx

    proto = onnx.load_from_string(model)
    proto.graph.node[-1].input[0] = "negative"
    proto.graph.node.insert(
        len(proto.graph.node) - 1, onnx.helper.make_node("Neg", ["means"], ["negative"])
    )
    return bytes(proto.SerializeToString())


@pytest.mark.parametrize("is_there", ["file", "folder", "link"])
def test_nothing_that_is_there_is_overwritten(
    tmp_path: Path, is_there: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out"
    if is_there == "link":
        target.symlink_to(tmp_path)
    else:
        mine = target if is_there == "file" else target / "mine.txt"
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("mine")

    assert export(target) == 2

    said = capsys.readouterr().err
    assert f"{target}: there is something already. Remedy: name a new folder with --to" in said
    assert target.is_symlink() or mine.read_text() == "mine"


def test_an_unknown_version_is_named_with_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "7", "--to", str(tmp_path / "out")]) == 2

    assert "name one of: 1 (champion" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_its_images_no_smaller_form_is_written_and_the_remedy_fetches_them(
    tmp_path: Path, line: TinyLine, capsys: pytest.CaptureFixture[str]
) -> None:
    betons = next(line.path("betons").glob("*.beton"))
    (line.root / ".dvc" / "cache" / "files" / "md5" / _md5(betons)).unlink()

    assert export(tmp_path / "out", "--int8") == 66

    assert "dvc fetch" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert export(tmp_path / "out") == 0


def _md5(path: Path) -> str:
    import hashlib

    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return f"{digest[:2]}/{digest[2:]}"
