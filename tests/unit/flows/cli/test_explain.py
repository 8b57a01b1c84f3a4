"""`perennial explain`: the page of a registered model and of an exported folder, and what cannot be explained."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

from flows.cli.parser import main
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.shard import describe
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.saved_weights import save_weights
from pipeline_lib.register.run import run
from pipeline_lib.shards.read import MemberBytes
from pipeline_lib.tables.features import FEATURES
from pipeline_lib.tables.members import MEMBERS
from testing.tiny_line import SIDE_PX, TinyLine, make_line, receive

EVIL = '<img src=x onerror="alert(1)">'
NAMES = (EVIL, "green", "blue")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> TinyLine:
    """A champion with weights that torch can load, and features of its training images."""
    line = make_line(tmp_path_factory.mktemp("line") / "checkout", names=NAMES)
    torch.manual_seed(0)
    save_weights(build_network("mini_resnet", n_classes=3, side_px=SIDE_PX), line.path("export"))
    about = json.loads((line.path("export") / "model.json").read_text())
    (line.path("export") / "model.json").write_text(json.dumps({**about, "network": "mini_resnet"}))
    rows = []
    with MemberBytes(line.path("shards")) as source:
        for row in MEMBERS.read(line.path("members")).to_dict("records"):
            data = source.read(row["container"], row["offset_bytes"], row["size_bytes"])
            described = describe(examine(row["image_id"], data, InspectParams(min_side_px=1)), None)
            rows.append({"image_id": row["image_id"], **described})
    FEATURES.write(pd.DataFrame(rows), line.path("features") / "a.parquet")
    receive(line)
    run(line.job())
    return line


@pytest.fixture(autouse=True)
def here(line: TinyLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(line.root)
    for name in ("PERENNIAL_ROOT", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A red image with a hostile name."""
    file = tmp_path / "a' onload='x.png"
    Image.new("RGB", (40, 40), (250, 10, 10)).save(file)
    return file


def test_the_page_shows_the_map_the_layers_the_check_and_training_images(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(photo), "--class", EVIL, "--to", str(tmp_path / "why")]) == 0

    said = capsys.readouterr()
    page = Path(said.out.strip())
    text = page.read_text()
    assert page == tmp_path / "why" / "index.html"
    files = set(re.findall(r'src="([^"]*)"', text))
    assert files == {file.name for file in page.parent.glob("*.png")}
    assert len([one for one in files if "near-" in one]) == 5
    assert len([one for one in files if "layer-" in one]) == 3
    assert "rank correlation" in text and "under 0.3 is wanted" in text
    assert text.count(".png</bdi><small>likeness") == 5


def test_the_feature_maps_of_chosen_layers_are_shown(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = ["--layer", "block1", "--layer", "block3"]

    assert main(["explain", str(photo), *layers, "--to", str(tmp_path / "why")]) == 0

    text = (tmp_path / "why" / "index.html").read_text()
    assert re.findall("layer <code>([^<]*)</code>", text) == ["block1", "block3"]


def test_no_name_becomes_markup_and_nothing_can_be_fetched(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(photo), "--to", str(tmp_path / "why")]) == 0

    text = (tmp_path / "why" / "index.html").read_text()
    assert "<img src=x" not in text and "&lt;img src=x" in text
    assert " onload='" not in text
    assert "default-src 'none'; img-src 'self'" in text and "<script" not in text


def test_the_folder_of_an_export_is_enough_and_without_to_the_page_has_a_place(
    line: TinyLine, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(photo), "--model", f"{line.path('export')}/"]) == 0

    page = Path(capsys.readouterr().out.strip())
    assert page == line.root / ".perennial" / "explained" / "1" / "index.html"
    assert "An exported folder names no training images." in page.read_text()


def test_an_image_that_cannot_be_used_is_named_and_the_others_are_explained(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.jpg").write_bytes(b"<html>")

    code = main(["explain", str(tmp_path / "b.jpg"), str(photo), "--to", str(tmp_path / "why")])

    said = capsys.readouterr()
    assert code != 0
    assert "b.jpg: not a usable image: not_image" in said.err
    assert said.out.strip().endswith("index.html")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--class", "gren"],
            "--class: no such class (found: gren). Remedy: name one such as green",
        ),
        (["--model", "7"], "(found: 7)"),
        (
            ["--layer", "blok3"],
            "--layer: no such layer with cells in mini_resnet (found: blok3). Remedy: name one of block3",
        ),
        (["--to", "curation"], "curation: not a new or empty folder. Remedy: name another folder"),
        (["--model", "./none"], "none/model.json: the model is absent"),
    ],
)
def test_what_cannot_be_explained_is_refused_with_the_way_out(
    photo: Path, arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(photo), *arguments]) != 0

    assert complaint in capsys.readouterr().err


def test_a_model_whose_weights_left_the_cache_is_refused_with_the_way_back(
    line: TinyLine, photo: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Last: it takes the weights away."""
    shutil.rmtree(line.root / ".perennial" / "models", ignore_errors=True)
    shutil.move(line.root / ".dvc" / "cache", tmp_path / "cache")
    try:
        assert main(["explain", str(photo)]) != 0
    finally:
        shutil.move(tmp_path / "cache", line.root / ".dvc" / "cache")

    assert "the DVC cache does not hold this object" in capsys.readouterr().err
