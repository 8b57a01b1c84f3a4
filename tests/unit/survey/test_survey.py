"""What `perennial init` sees in a source, and the params.yaml it writes for it."""

from __future__ import annotations

import io
import logging
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from pipeline_lib.errors import ArchiveDamaged, BadData, SourceMissing, UsageError
from pipeline_lib.params import LineParams, load_params
from pipeline_lib.settings import Settings
from pipeline_lib.survey import Survey, advise, describe, survey
from testing.sources import tar_of


def image(width_px: int, height_px: int, *, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width_px, height_px), (10, 90, 200)).save(file, kind)
    return file.getvalue()


def look(tmp_path: Path, uri: str) -> Survey:
    return survey(uri, Settings(), root=tmp_path)


def params_for(tmp_path: Path, found: Survey) -> LineParams:
    (tmp_path / "params.yaml").write_text(advise(found, name="mine").params)
    return load_params(tmp_path / "params.yaml")


SMALL = {f"{label}/{n}.png": image(28, 32) for label in ("cat", "dog") for n in range(30)}
PHOTOS = {
    f"train/{label}/{n}.jpg": image(400, 300, kind="JPEG")
    for label in ("cat", "dog")
    for n in range(25)
}


def test_a_folder_of_small_images_gets_the_quick_recipe(tmp_path: Path) -> None:
    for name, data in SMALL.items():
        (tmp_path / "pics" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pics" / name).write_bytes(data)

    found = look(tmp_path, "pics")

    assert (found.kind, found.layout, found.n_images, found.short_side_px) == (
        "folder",
        "class_folders",
        60,
        28,
    )
    assert found.classes == (("cat", 30), ("dog", 30))
    assert found.formats == (("PNG", 60),)
    assert found.problems == ()
    params = params_for(tmp_path, found)
    assert (params.train.recipe, params.train.side_px, params.convert.short_side_px) == (
        "quick",
        32,
        None,
    )
    assert params.discover.sources[0].uri == "pics"


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_a_tar_of_photographs_gets_the_photo_recipe(tmp_path: Path, ending: str) -> None:
    tar_of(
        tmp_path / f"pics.{ending}",
        PHOTOS | {"train/cat/.DS_Store": b"x"},
        mode="w:gz" if ending == "tar.gz" else "w",
    )

    found = look(tmp_path, f"pics.{ending}")

    assert (found.layout, found.n_images, found.short_side_px, found.is_complete) == (
        "split_class_folders",
        50,
        300,
        True,
    )
    assert found.splits == (("train", 50),)
    assert "what no source brings is drawn out of train: val and test so far." in found.problems[-1]
    assert found.refused == (("ignored_system_file", 1),)
    params = params_for(tmp_path, found)
    assert (params.train.recipe, params.train.side_px, params.convert.short_side_px) == (
        "photo",
        128,
        160,
    )
    assert (params.train.batch_size, params.train.peak_learning_rate) == (
        16,
        0.0125,
    )  # of photo's 64 and 0.05
    assert params.train.epochs == 134  # 50 images to train on are 3 steps an epoch
    assert params.inspect.min_side_px == 32


def test_a_zip_is_looked_into_without_unpacking_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pics.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in SMALL.items():
            archive.writestr(name, data)

    found = look(tmp_path, "pics.zip")

    assert (found.n_images, found.short_side_px, found.formats) == (60, 28, (("PNG", 60),))


def test_listing_and_reading_show_their_progress(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tar_of(tmp_path / "pics.tar", SMALL)
    caplog.set_level(logging.INFO)

    survey("pics.tar", Settings(progress_every_s=1e-9), root=tmp_path)

    assert any(line.startswith("progress: list 61 files, ") for line in caplog.messages)
    assert any(line.startswith("progress: read 60/60 headers, 100 %") for line in caplog.messages)


def test_a_folder_of_archives_is_read_as_classes(tmp_path: Path) -> None:
    for wnid in ("n01", "n02"):
        tar_of(tmp_path / "pics" / f"{wnid}.tar", {f"{n}.png": image(80, 90) for n in range(20)})

    found = look(tmp_path, "pics")

    assert found.kind == "folder of 2 archives"
    assert found.classes == (("n01", 20), ("n02", 20))
    assert params_for(tmp_path, found).train.side_px == 64


def test_what_a_person_should_know_is_said_in_sentences(tmp_path: Path) -> None:
    files = {"cat/1.jpg": b"<html>", "dog/2.png": image(40, 40), "loose.png": image(40, 40)}
    tar_of(tmp_path / "pics.tar", files)

    text = describe(look(tmp_path, "pics.tar"))

    assert text.splitlines() == [
        "pics.tar: archive, 3 images, 220 bytes",
        "layout   one folder per class",
        "classes  2: cat 1, dog 1",
        "example  cat/1.jpg: class cat",
        "example  dog/2.png: class dog",
        "example  loose.png: no class",
        "sizes    short side 40 to 40 px, median 40 px, of 2 sampled",
        "formats  PNG 2",
        "note     1 images lie outside the class folders and have no class.",
        "note     2 classes have fewer than 20 images: cat, dog.",
        "note     1 of the sampled files are no images that can be read (cat/1.jpg); they will be quarantined.",
    ]


def test_images_without_class_folders_are_told_to_bring_labels_or_votes(tmp_path: Path) -> None:
    tar_of(tmp_path / "pics.tar", {f"{n}.png": image(40, 40) for n in range(20)})

    found = look(tmp_path, "pics.tar")

    assert "No class can be told from the folders" in describe(found)
    assert "`--labels FILE`, one line per image" in describe(found)
    assert "labels: null  # no class folders" in advise(found, name="mine").params
    params_for(tmp_path, found)


def test_a_source_without_images_says_what_it_holds(tmp_path: Path) -> None:
    tar_of(tmp_path / "pics.tar", {"a.txt": b"1"})

    with pytest.raises(
        BadData, match=r"pics.tar: no image is there \(found: not_a_picture_name: 1\)"
    ):
        look(tmp_path, "pics.tar")


def test_what_is_no_source_is_refused_with_what_would_be_one(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(image(40, 40))
    remedy = "Remedy: name the folder, archive, s3://, gs:// or az:// prefix, or https://host/archive that holds images"

    with pytest.raises(
        UsageError, match=f"one.png: this is one file, and not an archive. {remedy}"
    ):
        look(tmp_path, "one.png")
    with pytest.raises(SourceMissing, match=f"gone: no such file or folder .*{remedy}"):
        look(tmp_path, "gone")


@pytest.mark.parametrize(("ending", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("zip", "")])
def test_a_damaged_archive_is_found_before_params_are_written(
    tmp_path: Path, ending: str, mode: str
) -> None:
    path = tmp_path / f"pics.{ending}"
    if ending == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/1.png", image(40, 40))
    else:
        tar_of(path, PHOTOS, mode=mode)
    path.write_bytes(path.read_bytes()[:-40] if ending != "tar" else path.read_bytes()[:2000])

    with pytest.raises(ArchiveDamaged, match="cut off or damaged"):
        look(tmp_path, path.name)


@pytest.mark.parametrize("uri", ["my pics: 1", "-x", "12", 'it\'s "here"', "s3pics", "#1"])
def test_any_address_survives_yaml(tmp_path: Path, uri: str) -> None:
    tar_of(tmp_path / uri / "a.tar", {f"{n}/x.png": image(40, 40) for n in range(3)})

    assert params_for(tmp_path, look(tmp_path, uri)).discover.sources[0].uri == uri


def test_heic_is_named_with_its_remedy_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline_lib.survey.problems.reads_heic", lambda: False)
    heic = {f"cat/{n}.HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" for n in range(30)}
    tar_of(tmp_path / "pics.tar", SMALL | heic)

    found = look(tmp_path, "pics.tar")

    assert "HEIC" in dict(found.formats)
    assert found.problems[0].startswith(
        "30 of 90 images are HEIC and will be set aside: `make setup WITH=heic`"
    )


def test_files_beside_images_are_not_counted_and_names_from_the_web_are_opened(
    tmp_path: Path,
) -> None:
    web = {
        "cat/x.jpg?size=large": image(28, 32),
        "cat/y.jpg_large": image(28, 32),
        "dog/z.php?id=1": b"<html>",
    }
    ppm = {f"dog/{n}.ppm": image(28, 32, kind="PPM") for n in range(3)}
    tar_of(tmp_path / "pics.tar", SMALL | web | ppm | {"LICENSE": b"free", "cat/README": b"cats"})

    found = look(tmp_path, "pics.tar")

    assert found.classes == (("cat", 32), ("dog", 33))
    assert found.refused == (("not_a_picture_name", 2), ("not_image", 1))
    assert dict(found.formats) == {"PNG": 62, "PPM": 3}


def test_one_name_in_two_spellings_is_one_class_and_named(tmp_path: Path) -> None:
    tar_of(
        tmp_path / "pics.tar",
        SMALL | {"caf\u00e9/1.png": image(28, 32), "cafe\u0301/2.png": image(28, 32)},
    )

    found = look(tmp_path, "pics.tar")

    assert ("caf\u00e9", 2) in found.classes
    assert (
        "2 folders whose names look the same are one class, caf\u00e9: 'cafe\\u0301', 'caf\\xe9'."
        in found.problems
    )
