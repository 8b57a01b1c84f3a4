"""Which model `perennial predict --model REF` asks."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import onnx
import pytest
import sklearn
import torch
import torchvision.models as zoo

from flows.cli.parser import main
from testing.small_line import SmallLine

FLOWER = str(Path(sklearn.__file__).parent / "datasets/images/flower.jpg")


@pytest.mark.parametrize("name", ["builtin", "builtin:efficientnet_lite0"])
def test_the_built_in_model_needs_no_project(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main(["predict", "--model", name, "--json", FLOWER])

    answer = json.loads(capsys.readouterr().out)
    assert (code, answer["file"], len(answer["guesses"])) == (0, FLOWER, 5)
    assert (answer["guesses"][0]["class"], answer["guesses"][0]["name"]) == ("n11939491", "daisy")
    assert list(tmp_path.iterdir()) == []


def test_a_published_classifier_is_fetched_and_needs_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Random weights of the true shape; the real ones cannot be had here."""
    weights = zoo.SqueezeNet1_1_Weights.IMAGENET1K_V1
    torch.save(zoo.squeezenet1_1().state_dict(), tmp_path / "w.pth")
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    served = (tmp_path / "w.pth").rename(tmp_path / f"squeezenet1_1-{digest[:8]}.pth")
    monkeypatch.setattr(weights.value, "url", served.as_uri())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.chdir(tmp_path)

    assert main(["predict", "--model", f"torchvision:{weights}", "--json", FLOWER]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert main(["predict", "--model", "timm:nothing", FLOWER]) == 78

    assert len(answer["guesses"]) == 5 and answer["guesses"][0]["class"].startswith("n")
    err = capsys.readouterr().err
    assert "--model: timm publishes no such weights (found: timm:nothing). Remedy: name an" in err


def test_folders_and_patterns_are_predicted_and_faults_are_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos/sub").mkdir(parents=True)
    for name in ("photos/b.jpg", "photos/sub/a.jpg"):
        shutil.copy(FLOWER, name)
    (tmp_path / "photos/README").write_text("no image")
    (tmp_path / "torn.jpg").write_bytes(b"torn")
    ask = ["predict", "--model", "builtin", "--top", "2"]

    assert main([*ask, "--json", "photos", "**/*.jpg"]) == 65
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert main([*ask, "--min-p", "0.99", "photos/b.jpg"]) == 0
    uncertain = capsys.readouterr().out
    assert main([*ask, "--out", "all.csv", "photos"]) == 0
    assert main([*ask, "nothing/*.jpg"]) == 2

    assert [row["file"] for row in rows] == ["photos/b.jpg", "photos/sub/a.jpg", "torn.jpg"]
    assert [len(row.get("guesses", ())) for row in rows] == [2, 2, 0]
    assert rows[2]["fault"]["code"] == "bad_data" and "not_image" in rows[2]["fault"]["message"]
    assert uncertain.startswith("photos/b.jpg: uncertain (daisy ")
    assert "wrote all.csv: 2 images" in capsys.readouterr().out
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 3


def test_a_path_is_an_exported_model_and_needs_no_project(
    small_line: SmallLine,
    evaluated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").symlink_to(evaluated / "export")
    image = str(small_line.file("src/test000.png"))

    assert main(["predict", "--model", "./mine", image]) == 0
    assert capsys.readouterr().out.startswith(f"{image}: ")


def test_an_image_unlike_those_trained_on_is_remarked_and_an_older_model_says_that_it_cannot_tell(
    small_line: SmallLine,
    evaluated: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    model, older = str(evaluated / "export"), tmp_path / "older"
    shutil.copytree(model, older)
    proto = onnx.load(older / "model.onnx")
    del proto.graph.output[1]
    onnx.save(proto, older / "model.onnx")
    (older / "unlike.json").unlink()
    trained_on = str(small_line.file("src/train000.png"))

    assert main(["predict", "--model", model, FLOWER, trained_on]) == 0
    unlike, like = capsys.readouterr().out.splitlines()
    assert main(["predict", "--model", model, "--json", FLOWER]) == 0
    told = json.loads(capsys.readouterr().out)
    assert not caplog.records
    assert main(["predict", "--model", str(older), "--json", FLOWER, trained_on]) == 0
    of_older = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    remark = "  unlike the images it was trained on (more than 96 % of the validation images)"
    assert unlike.endswith(remark) and "unlike" not in like
    assert told["unlike"] == 0.04 and len(told["guesses"]) == 3  # 1 / (24 + 1)
    assert all("unlike" not in row for row in of_older)
    assert of_older[0]["guesses"] == told["guesses"]
    assert caplog.text.count("no image is called unlike the training images: it was exported") == 1


def test_elsewhere_than_in_a_project_the_error_names_what_goes_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()

    codes = main(["predict", FLOWER]), main(["predict", "--model", "mine", FLOWER])

    first, second = capsys.readouterr().err.splitlines()
    remedy = "Remedy: change into the folder that holds dvc.yaml, or name `--model builtin`, which needs no training"
    assert codes == (2, 2)
    assert first.endswith(remedy)
    assert second.endswith(f"{remedy}, or `--model ./mine`, the folder here")


def test_a_built_in_model_of_another_name_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["predict", "--model", "builtin:resnet", FLOWER]) == 2
    assert (
        "--model: no such built-in backbone: name builtin:efficientnet_lite0 (found: builtin:resnet)"
        in (capsys.readouterr().err)
    )


def test_the_older_option_goes_on_working_and_says_the_new_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)

    main(["predict", "--version", "builtin", FLOWER])

    assert "--version is called --model now: `perennial predict --model builtin`" in caplog.text
    assert "daisy" in capsys.readouterr().out
