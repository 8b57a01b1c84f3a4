"""Prediction sees the pixels of training and says what evaluation said."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from PIL import Image

from pipeline_lib.backbones.builtin import EFFICIENTNET_LITE0
from pipeline_lib.errors import BadData
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.pixels import KeptSize, PixelRules, centre_square
from pipeline_lib.predict import builtin_model, exported_model, predict
from pipeline_lib.prediction.sight import trained_sight
from pipeline_lib.tables.predictions import PREDICTIONS
from testing.images import progressive_jpeg
from testing.small_line import SmallLine


def test_files_get_the_classes_and_probabilities_of_the_predictions_table(
    small_line: SmallLine, evaluated: Path
) -> None:
    rows = PREDICTIONS.read(evaluated / "predictions.parquet")
    rows = rows[rows["split"] == "test"]
    files = [small_line.file(image_id) for image_id in rows["image_id"]]

    found = predict(files, exported_model(evaluated / "export"))

    classes = ("007", "stripes", "NA")
    assert [prediction.file for prediction in found] == files
    for prediction, top_classes, top_p in zip(
        found, rows["top_classes"], rows["top_p"], strict=True
    ):
        assert [guess.class_id for guess in prediction.guesses] == [classes[k] for k in top_classes]
        assert [guess.p for guess in prediction.guesses] == pytest.approx(list(top_p), abs=1e-3)


def test_a_file_that_is_no_image_has_its_own_fault_and_the_others_are_predicted(
    small_line: SmallLine, evaluated: Path, tmp_path: Path
) -> None:
    good, torn, absent = (
        small_line.file("src/test000.png"),
        tmp_path / "torn.png",
        tmp_path / "absent.png",
    )
    torn.write_bytes(good.read_bytes()[:200])

    found = predict([torn, good, absent, tmp_path], exported_model(evaluated / "export"))

    assert [bool(prediction.guesses) for prediction in found] == [False, True, False, False]
    assert f"{torn}: not a usable image: decode_truncated" in str(found[0].fault)
    assert (
        f"{absent}: cannot be read (found: No such file or directory). Remedy: name an image file"
        in str(found[2].fault)
    )
    assert "Is a directory" in str(found[3].fault)


def test_an_image_that_keeps_its_decoder_busy_is_passed_over_and_the_others_are_predicted(
    small_line: SmallLine, evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bomb = small_line.file("src/test000.png"), tmp_path / "bomb.jpg"
    bomb.write_bytes(
        progressive_jpeg(5600, 32)
    )  # 63 kB, about a second: the costliest whose scans pass the count
    monkeypatch.setattr("pipeline_lib.harness.cpu_clock.IMAGE_CPU_S", 0.2)

    found = predict([bomb, good], exported_model(evaluated / "export"))

    assert [bool(prediction.guesses) for prediction in found] == [False, True]
    assert (
        f"{bomb}: not a usable image: too_much_work (found: decoding it ended the process twice (SIGPROF))"
        in str(found[0].fault)
    )


def test_the_same_file_twice_is_answered_twice(small_line: SmallLine, evaluated: Path) -> None:
    one, two = predict(
        [small_line.file("src/test000.png")] * 2, exported_model(evaluated / "export")
    )

    assert one == two


def test_without_a_model_it_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(
        BadData, match="model.json: the model is absent. Remedy: run `dvc repro evaluate`"
    ):
        exported_model(tmp_path)


@pytest.mark.parametrize(
    "kept",
    [{"short_side_px": 40}, {"short_side_px": None, "long_side_px": 50, "shape": "square_pad"}, {}],
)
def test_a_file_is_sized_as_convert_sized_the_images_and_older_models_have_fewer_keys(
    kept: dict[str, Any],
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    described = {"pixel_rules": PixelRules().model_dump(), "mode": "raw", **kept}
    about = ModelFile(
        network="tiny", classes=("a",), names=("a",), side_px=32, mean=(0, 0, 0), std=(1, 1, 1),
        pixels=described, recipe={}, parent=None, epoch=1,
    )  # fmt: skip

    seen = trained_sight(about).see(stream.getvalue())

    assert np.array_equal(seen, centre_square(KeptSize(**kept).apply(pixels), side_px=32))


def test_the_built_in_model_names_what_is_in_a_photograph() -> None:
    flower, church = (
        Path(sklearn.__file__).parent / f"datasets/images/{name}.jpg"
        for name in ("flower", "china")
    )

    found = predict([flower, church], builtin_model(EFFICIENTNET_LITE0))

    assert [prediction.guesses[0].name for prediction in found] == ["daisy", "palace"]
    assert [len(prediction.guesses) for prediction in found] == [5, 5]
