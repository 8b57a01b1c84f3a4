"""What is planted among somebody's own images is what its name says, once for each image, and the same for a seed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from demo.photographs.copies import CHANGES, cropped, upright
from demo.photographs.faults import COPY, DAMAGES, PAGE, WRONG_LABEL, page_of_text, plan
from demo.photographs.planting import Planted, PlantedFile, file_of, plant, read_planted, trial_key
from demo.photographs.source import Drawn, OwnImage, find_images
from pipeline_lib.settings import Settings
from pipeline_lib.survey import SourceAnswer
from testing.photographs import KINDS, write_photographs

SETTINGS = Settings(workers=1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    folder = tmp_path_factory.mktemp("own") / "my images"
    write_photographs(folder, kinds=KINDS[:1])
    (folder / "flower" / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    answer = SourceAnswer()
    return find_images(str(folder), SETTINGS, root=folder, answer=answer, count=500, seed=0)


@pytest.fixture(scope="module")
def folder(drawn: Drawn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted") / "trial"
    plant(drawn, SETTINGS, folder=folder, seed=0)
    return folder


@pytest.fixture(scope="module")
def planted(folder: Path) -> Planted:
    planted = read_planted(folder)
    assert planted
    return planted


def opened(folder: Path, file: PlantedFile) -> Image.Image:
    return upright(file_of(folder, file.member).read_bytes())


def test_every_drawn_image_is_there_once_beside_copies_and_pages(
    drawn: Drawn, planted: Planted, folder: Path
) -> None:
    themselves = [file for file in planted.files if file.yours and not file.copy_of]

    assert [file.yours for file in themselves] == [image.name for image in drawn.images]
    assert all(file_of(folder, file.member).is_file() for file in planted.files)
    assert planted.layout == "class_folders"


def test_each_image_has_one_fault_at_most_and_none_that_cannot_be_decoded(planted: Planted) -> None:
    made_of = [file.yours for file in planted.files if file.kind and file.yours]

    assert len(made_of) == len(set(made_of))
    assert not any(name.endswith("broken.jpg") for name in made_of)


def test_of_a_thousand_images_the_planned_shares_are_planted() -> None:
    own = [OwnImage(f"{n}.jpg", 1, "abc"[n % 3], "") for n in range(1000)]

    files = plan(own, lambda _: "JPEG", np.random.default_rng(0))

    kinds = [file.kind for file in files]
    assert kinds.count(WRONG_LABEL) == 80
    assert all(kinds.count(f"{COPY}{kind}") == 10 for kind in ("same bytes", *CHANGES))
    assert all(kinds.count(kind) == 5 for kind in (*DAMAGES, PAGE))
    assert all(file.received != file.truth for file in files if file.kind == WRONG_LABEL)
    assert all(file.received == file.truth for file in files if file.is_copy)


def test_where_splits_are_published_about_half_of_the_copies_lie_in_another_one() -> None:
    own = [OwnImage(f"{n}.jpg", 1, "ab"[n % 2], ("train", "test")[n % 3 == 0]) for n in range(1000)]

    files = plan(own, lambda _: "JPEG", np.random.default_rng(0))

    crossing = sum(file.split != own[file.of or 0].split for file in files if file.is_copy)
    assert 25 <= crossing <= 55


def test_a_copy_of_the_same_bytes_has_them_and_an_altered_one_its_own(
    planted: Planted, folder: Path
) -> None:
    for file in planted.of_kind(COPY):
        copy, image = (file_of(folder, name).read_bytes() for name in (file.member, file.copy_of))
        assert (copy == image) == (file.kind == f"{COPY}same bytes")


@pytest.mark.parametrize(
    ("kind", "width_px"), [("half size", 80), ("white border", 186), ("crop of 10 %", 144)]
)
def test_altered_copies_have_the_width_that_their_name_says(
    planted: Planted, folder: Path, kind: str, width_px: int
) -> None:
    for file in planted.of_kind(COPY + kind):
        assert opened(folder, file).width == width_px


def test_a_crop_of_five_percent_takes_a_pixel_at_least_of_a_small_image() -> None:
    assert cropped(Image.new("RGB", (32, 32)), share=0.05).size == (30, 30)


def test_damage_is_what_it_is_called(planted: Planted, folder: Path) -> None:
    def file(kind: str) -> PlantedFile:
        return planted.of_kind(kind)[0]

    assert file_of(folder, file("empty file").member).stat().st_size == 0
    with pytest.raises(UnidentifiedImageError):
        opened(folder, file("HTML named .jpg"))
    with pytest.raises(OSError, match="truncated"):
        opened(folder, file("cut off"))
    odd = file("wrong ending")
    assert odd.member.endswith(".png")
    assert file_of(folder, odd.member).read_bytes().startswith(b"\xff\xd8")
    last_rows = np.asarray(opened(folder, file("lower half grey")))[-20:]
    assert np.ptp(last_rows) <= 4 and 100 < last_rows.mean() < 156


def test_pages_of_text_differ_from_each_other() -> None:
    first, second = (np.asarray(Image.open(io.BytesIO(page_of_text(b"", seed=n)))) for n in (1, 2))

    assert first.shape != second.shape or np.abs(first.astype(int) - second).mean() > 5


def test_the_same_seed_plants_the_same_bytes_and_another_one_others(
    drawn: Drawn, planted: Planted, folder: Path, tmp_path: Path
) -> None:
    again, other = (
        plant(drawn, SETTINGS, folder=tmp_path / str(seed), seed=seed) for seed in (0, 1)
    )

    assert again == planted
    for file in planted.files:
        same = file_of(tmp_path / "0", file.member).read_bytes()
        assert same == file_of(folder, file.member).read_bytes()
    assert other.key == trial_key(drawn, seed=1) != planted.key
    assert other.files != planted.files


def test_names_tell_nothing_of_the_fault(planted: Planted) -> None:
    numbers = [int(Path(file.member).stem) for file in planted.of_kind(COPY)]

    assert max(numbers) - min(numbers) > len(planted.files) / 2


def test_a_class_that_no_folder_can_be_called_gets_a_name_that_one_can(tmp_path: Path) -> None:
    source = tmp_path / "own"
    source.mkdir()
    names = ("A/B", ".hidden", "x" * 300)
    lines = ["filename,label"]
    for n in range(60):
        Image.new("RGB", (64, 64), (4 * n, 10, 200)).save(source / f"{n}.jpg")
        lines.append(f"{n}.jpg,{names[n % 3]}")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(lines))
    answer = SourceAnswer(labels=str(table))
    drawn = find_images(str(source), SETTINGS, root=tmp_path, answer=answer, count=60, seed=0)

    planted = plant(drawn, SETTINGS, folder=tmp_path / "trial", seed=0)

    folders = {path.name for path in (tmp_path / "trial/images").iterdir()}
    assert folders == {file.received for file in planted.files}
    assert {"A%2FB", "%2Ehidden"} < folders
