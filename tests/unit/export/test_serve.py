"""serve.py, in an environment of onnxruntime, Pillow and numpy alone: the answers of `perennial predict`."""

import io
import json
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline_lib.export import serve
from pipeline_lib.export.described import description, onnx_with
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.predict import exported_model, predict
from testing.images import encoded, photo

ALLOWED_DP = 1e-3


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages: the three, and what they ask for."""
    folder = tmp_path_factory.mktemp("packages")
    wanted, seen = ["onnxruntime", "pillow", "numpy"], set()
    while wanted:
        package = wanted.pop()
        if package in seen:
            continue
        seen.add(package)
        found = distribution(package)
        for file in found.files or ():
            top = folder / file.parts[0]
            if ".." not in file.parts and not top.exists():
                top.symlink_to(Path(str(found.locate_file(file.parts[0]))))
        asked = [one for one in found.requires or () if ";" not in one]
        wanted += [re.split(r"[^A-Za-z0-9._-]", one)[0] for one in asked]
    assert "pydantic" not in seen
    assert not (folder / "torch").exists()
    return folder


def model_folder(folder: Path, network: bytes, **pixels: object) -> Path:
    folder.mkdir(parents=True)
    about = ModelFile(
        network="mini_resnet",
        classes=tuple("abcdefghij"),
        names=tuple("ABCDEFGHIJ"),
        side_px=32,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        pixels={"pixel_rules": {}, **pixels},
        recipe={},
        parent=None,
        epoch=1,
        temperature=1.0,
    )
    about.write(folder)
    metadata = description(about, version="digits/1", md5="0")
    (folder / "model.onnx").write_bytes(onnx_with(network, metadata))
    return folder


def odd_images(folder: Path) -> list[Path]:
    """A photograph in the forms that programs disagree about."""
    wide, tall = photo(width=320, height=200), photo(width=90, height=150, seed=1)
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = np.dstack([wide, photo(width=320, height=200, seed=2)[..., 0]])
    files = {
        "photo.jpg": encoded(wide, "JPEG", quality=92),
        "progressive.jpg": encoded(tall, "JPEG", progressive=True, quality=80),
        "turned.jpg": encoded(wide, "JPEG", exif=exif),
        "cmyk.jpg": encoded(Image.fromarray(wide).convert("CMYK"), "JPEG", quality=95),
        "grey.png": encoded(wide[..., 0], "PNG"),
        "16_bit.png": encoded(Image.fromarray(tall[..., 0].astype(np.uint16) * 257), "PNG"),
        "16_bit.tiff": encoded(Image.fromarray(tall[..., 0].astype(np.uint16) * 257), "TIFF"),
        "alpha.png": encoded(Image.fromarray(alpha), "PNG"),
        "palette.gif": encoded(Image.fromarray(wide).quantize(64), "GIF"),
        "webp.webp": encoded(wide, "WEBP", quality=90),
        "small.png": encoded(photo(width=20, height=31), "PNG"),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


@pytest.mark.parametrize(
    "pixels",
    [
        {},
        {"short_side_px": 64},
        {"shape": "square_crop", "short_side_px": 48, "long_side_px": 40},
        {"shape": "square_pad", "short_side_px": 64},
    ],
    ids=["as received", "short side", "square crop", "square pad"],
)
def test_the_answers_are_those_of_predict_on_every_kind_of_image(
    tmp_path: Path, network: bytes, alone: Path, pixels: dict[str, object]
) -> None:
    folder, files = model_folder(tmp_path / "model", network, **pixels), odd_images(tmp_path)

    program = f"import sys; sys.path.insert(0, {str(alone)!r}); import runpy; "
    program += f"runpy.run_path({serve.__file__!r}, run_name='__main__')"
    command = [sys.executable, "-I", "-S", "-c", program, str(folder / "model.onnx")]
    command += map(str, files)
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)
    said = [json.loads(one)["p"] for one in done.stdout.splitlines()]

    expected = predict(files, exported_model(folder))
    for file, found, ours in zip(files, said, expected, strict=True):
        assert ours.fault is None, file
        assert next(iter(found)) == ours.guesses[0].name, file.name
        for guess in ours.guesses[:3]:
            assert found[guess.name] == pytest.approx(guess.p, abs=ALLOWED_DP), file.name


def test_pixels_are_the_same_where_the_decoder_is() -> None:
    """PNG has one decoding: then not a single byte differs, whatever the shape."""
    image = Image.open(io.BytesIO(encoded(photo(width=301, height=200), "PNG")))
    kept = {"short_side_px": 77, "long_side_px": None, "shape": "as_is"}
    about = {"exif_orientation": "apply", "kept_size": json.dumps(kept), "side_px": "32"}

    from pipeline_lib.pixels import KeptSize, centre_square

    ours = centre_square(
        KeptSize.model_validate(kept).apply(photo(width=301, height=200)), side_px=32
    )
    assert np.array_equal(serve.as_seen(image, about), ours)
