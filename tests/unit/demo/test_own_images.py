"""Somebody's own images for a trial: found as `init` finds them, drawn by a hash, copied, and left as they were."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from demo.photographs.source import (
    OF_A_CLASS,
    Drawn,
    OwnImage,
    check_room,
    copy_images,
    draw,
    find_images,
)
from pipeline_lib.errors import BadData, NoSpace, UsageError
from pipeline_lib.settings import Settings
from pipeline_lib.survey import SourceAnswer
from testing.photographs import CLASSES, KINDS, write_photographs

SETTINGS = Settings(workers=1)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "my images"
    write_photographs(folder, kinds=KINDS[:1])
    (folder / "flower" / "notes.txt").write_text("about the flower\n")
    return folder


def found(source: Path, *, count: int = 60, layout: str | None = None) -> Drawn:
    answer = SourceAnswer(layout)
    return find_images(
        str(source), SETTINGS, root=source.parent, answer=answer, count=count, seed=0
    )


def packed(folder: Path, target: Path, form: str) -> Path:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if form == "zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(folder))
    else:
        with tarfile.open(target, "w:gz" if form == "tar.gz" else "w") as tar:
            for file in files:
                tar.add(file, file.relative_to(folder))
    return target


def copied(drawn: Drawn, target: Path) -> list[str]:
    """The sha256 of each image in the order of the draw."""
    target.mkdir()
    files = sorted(copy_images(drawn, target))
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


@pytest.mark.parametrize("form", ["tar", "tar.gz", "zip"])
def test_an_archive_gives_the_same_draw_and_the_same_bytes_as_its_folder(
    photographs: Path, tmp_path: Path, form: str
) -> None:
    archive = packed(photographs, tmp_path / f"photographs.{form}", form)

    of_folder, of_archive = found(photographs), found(archive)

    assert of_archive.images == of_folder.images
    assert {image.class_id for image in of_folder.images} == set(CLASSES)
    assert copied(of_archive, tmp_path / "a") == copied(of_folder, tmp_path / "b")


def test_the_source_is_only_read(photographs: Path, tmp_path: Path) -> None:
    def state() -> list[tuple[str, int, bytes]]:
        files = [file for file in sorted(photographs.rglob("*")) if file.is_file()]
        return [(str(file), file.stat().st_mtime_ns, file.read_bytes()) for file in files]

    before = state()

    copied(found(photographs), tmp_path / "copies")

    assert state() == before


def images(**classes: int) -> list[OwnImage]:
    return [
        OwnImage(f"{name}/{n}.jpg", 1, name, "") for name in classes for n in range(classes[name])
    ]


def test_a_draw_depends_on_names_and_seed_and_not_on_the_order_of_a_listing() -> None:
    own = images(cat=100, dog=300)

    assert draw(own, count=80, seed=1) == draw(own[::-1], count=80, seed=1)
    assert draw(own, count=80, seed=1) != draw(own, count=80, seed=2)


def test_of_a_rare_class_twenty_are_drawn_before_others_get_their_share() -> None:
    drawn = Counter(
        one.class_id for one in draw(images(rare=25, common=1000, usual=500), count=150, seed=0)
    )

    assert drawn["rare"] >= OF_A_CLASS
    assert drawn["common"] / drawn["usual"] == pytest.approx(2, rel=0.3)
    assert drawn.total() == 150


def test_of_very_many_classes_some_are_drawn_with_twenty_images_each() -> None:
    many = images(**{f"class{n}": 30 for n in range(100)})

    drawn = Counter(one.class_id for one in draw(many, count=200, seed=0))

    assert sorted(drawn.values()) == [OF_A_CLASS] * 10


def test_folders_that_can_be_read_in_several_ways_are_refused_with_the_choices_named(
    photographs: Path, tmp_path: Path
) -> None:
    for folder in ("train", "dev"):
        shutil.copytree(photographs, tmp_path / "splits" / folder)
    for folder in ("monday", "tuesday"):
        shutil.copytree(photographs, tmp_path / "days" / folder)

    with pytest.raises(
        UsageError, match="LAYOUT=NAME` with NAME one of leaf_folders, path_folders"
    ):
        found(tmp_path / "days")

    assert found(tmp_path / "days", layout="leaf_folders").n_classes == len(CLASSES)
    assert {one.split for one in found(tmp_path / "splits").images} == {"train", "val"}


def test_too_few_images_or_classes_are_refused_with_what_was_found(
    photographs: Path, tmp_path: Path
) -> None:
    for split in ("train", "test"):
        shutil.copytree(photographs / "flower", tmp_path / "one" / split / "flower")
    for label in CLASSES:
        (tmp_path / "few" / label).mkdir(parents=True)
        for file in sorted((photographs / label).glob("*.jpg"))[:20]:
            shutil.copy(file, tmp_path / "few" / label)

    with pytest.raises(
        BadData, match="no two classes to tell apart .found: 80 images with a class, 1 classes"
    ):
        found(tmp_path / "one")
    with pytest.raises(
        BadData, match="too few images .* .found: 40 images with a class, 2 classes"
    ):
        found(tmp_path / "few")


def test_images_without_class_folders_are_refused_with_what_gives_them_a_class(
    photographs: Path, tmp_path: Path
) -> None:
    for number, file in enumerate(sorted(photographs.rglob("*.jpg"))):
        shutil.copy(file, tmp_path / f"{number}.jpg")

    with pytest.raises(BadData, match=r"No class can be told .*LABELS=FILE: a table"):
        found(tmp_path)


def test_a_disk_without_room_is_told_before_anything_is_copied(photographs: Path) -> None:
    drawn = found(photographs)

    with pytest.raises(NoSpace, match="too little room .* 0 MB free.* try fewer: .*COUNT=50"):
        check_room(drawn, photographs, free_bytes=1000)
