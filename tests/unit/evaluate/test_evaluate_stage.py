"""The evaluate stage on real betons and freshly trained weights."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import torch

from pipeline_lib.errors import BadData
from pipeline_lib.evaluate.export import measure_parity
from pipeline_lib.evaluate.run import run
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Calibrated, Classifier
from pipeline_lib.networks.exported import load_exported
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.networks.saved_weights import load_weights
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.selection import SELECTION
from testing.small_line import SmallLine


def _model(export: Path, *, temperature: float | None = None) -> Calibrated:
    about = read_model_file(export)
    network = build_network(about.network, n_classes=len(about.classes), side_px=about.side_px)
    load_weights(network, export)
    return Calibrated(
        Classifier(network, mean=about.mean, std=about.std),
        temperature=temperature or about.temperature or 1.0,
    )


def test_every_validation_and_test_image_is_predicted_once_with_its_own_label(
    small_line: SmallLine, evaluated: Path
) -> None:
    found = PREDICTIONS.read(evaluated / "predictions.parquet").set_index("image_id")

    for split in ("val", "test"):
        expected = SELECTION.read(small_line.folder / "selection" / f"{split}.parquet").set_index(
            "image_id"
        )["label"]
        rows = found[found["split"] == split]
        pd.testing.assert_series_equal(rows["label"], expected, check_index_type=False)


def test_the_figures_are_those_of_the_predictions_table(evaluated: Path) -> None:
    figures = json.loads((evaluated / "metrics.json").read_text())
    table = PREDICTIONS.read(evaluated / "predictions.parquet")
    confusion = pd.read_csv(evaluated / "confusion.csv", keep_default_na=False, dtype=str)

    for split in ("val", "test"):
        rows = table[table["split"] == split]
        assert figures[split]["top1"] == pytest.approx(rows["correct"].mean())
        assert figures[split]["nll"] == pytest.approx(rows["loss"].mean(), abs=1e-6)
    assert (confusion["actual"] == confusion["predicted"]).mean() == pytest.approx(
        figures["test"]["top1"]
    )
    assert figures["test"]["top1_low"] <= figures["test"]["top1"] <= figures["test"]["top1_high"]


def test_classes_keep_their_names_in_every_table(evaluated: Path) -> None:
    table = pd.read_csv(evaluated / "per_class.csv", keep_default_na=False, dtype={"class": str})

    assert list(table["class"]) == ["007", "stripes", "NA"]
    assert list(table["support"]) == [14, 13, 13]


def test_the_exported_model_repeats_torch_for_any_number_of_images(evaluated: Path) -> None:
    exported, model = load_exported(evaluated / "export"), _model(evaluated / "export").eval()

    for n in (1, 5):
        images_BHWC = np.random.default_rng(n).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
        expected = model(torch.from_numpy(images_BHWC)).detach().numpy()
        np.testing.assert_allclose(exported.probabilities(images_BHWC), expected, atol=1e-5)


def test_parity_is_measured_on_all_test_images_where_they_are_few(evaluated: Path) -> None:
    parity = json.loads((evaluated / "export/parity.json").read_text())

    assert parity["n"] == 40
    assert parity["argmax_agreement"] == 1.0
    assert parity["max_abs_dp"] < 1e-5


def test_an_export_that_does_not_repeat_torch_is_refused(evaluated: Path) -> None:
    exported, other = (
        load_exported(evaluated / "export"),
        _model(evaluated / "export", temperature=4.0),
    )
    images_BHWC = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)

    with pytest.raises(
        BadData,
        match=r"model.onnx: model.onnx does not repeat torch \(found: probabilities differ by",
    ):
        measure_parity(other, exported, images_BHWC)


def test_the_onnx_file_says_nothing_of_the_machine_or_the_source_tree(evaluated: Path) -> None:
    proto = onnx.load(evaluated / "export/model.onnx")

    assert not any(
        part.metadata_props or part.doc_string for part in (proto, proto.graph, *proto.graph.node)
    )
    assert b"pipeline_lib" not in proto.SerializeToString()
    assert [node.name for node in (*proto.graph.input, *proto.graph.output)] == [
        "images",
        "probabilities",
        "unlike",
    ]


def test_running_again_elsewhere_gives_the_same_bytes_through_either_loader(
    small_line: SmallLine, trained: Path, evaluated: Path, tmp_path: Path
) -> None:
    settings = small_line.settings().model_copy(update={"loader": "python", "workers": 2})

    run(small_line.evaluate(trained / "weights", tmp_path, settings=settings))

    for file in evaluated.rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / file.relative_to(evaluated)).read_bytes(), (
                file.name
            )


def test_weights_of_other_classes_are_refused(
    small_line: SmallLine, trained: Path, tmp_path: Path
) -> None:
    job = small_line.evaluate(trained / "weights", tmp_path)
    job.reads["classes"] = tmp_path / "classes.csv"
    job.reads["classes"].write_text("label,class_id,name\n0,cat,cat\n1,dog,dog\n")

    with pytest.raises(
        BadData,
        match="the weights are of other classes than classes.csv.*Remedy: run `dvc repro train`",
    ):
        run(job)


def test_an_empty_test_split_is_refused(
    small_line: SmallLine, trained: Path, tmp_path: Path
) -> None:
    job = small_line.evaluate(trained / "weights", tmp_path)
    shutil.copytree(small_line.folder / "selection", tmp_path / "selection")
    SELECTION.write(SELECTION.empty(), tmp_path / "selection/test.parquet")
    job.reads["selection"] = tmp_path / "selection"

    with pytest.raises(
        BadData, match="test.parquet: no images in the test split .found: 0 rows.*curation.json"
    ):
        run(job)
