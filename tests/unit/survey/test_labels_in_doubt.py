"""Several things that may tell the classes: what is asked, and every way out that is printed works."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest

from flows.cli.asking import survey_and_ask
from pipeline_lib.errors import BadData, UsageError
from pipeline_lib.settings import Settings
from pipeline_lib.survey import Survey, describe
from scripts.small_files import Files, N, flat, images, lines, pet
from testing.curated import write_files


def init(
    folder: Path, *, labels: str | None = None, several: str | None = None, **said: Any
) -> Survey:
    """As `perennial init pics`, without a terminal."""
    with redirect_stderr(io.StringIO()):
        return survey_and_ask(
            "pics",
            Settings(workers=1),
            folder,
            said,
            labels=labels,
            subject=None,
            told={"several": several} if several else {},
        )


@pytest.fixture
def pics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, files: Files) -> None:
    write_files(folder, {f"pics/{name}": data for name, data in files.items()})


ROWS = [f"{n}.jpg,{pet(n)}" for n in range(N)]
CORRECTED = [f"{n}.jpg,{'dog' if n < 3 else pet(n)}" for n in range(N)]


def test_two_versions_of_one_table_are_asked_about_and_each_can_be_chosen(pics: Path) -> None:
    head = "filename,label"
    write(
        pics, flat("jpg") | {"l.csv": lines([head, *ROWS]), "l_old.csv": lines([head, *CORRECTED])}
    )

    with pytest.raises(
        UsageError, match=r"several files .*l.csv, l_old.csv.*one of pics/l.csv, pics/l_old.csv"
    ):
        init(pics)
    assert init(pics, labels="pics/l.csv").classes == (("cat", 6), ("dog", 6))
    assert init(pics, labels="pics/l_old.csv").classes == (("cat", 4), ("dog", 8))


def test_two_tables_of_different_images_are_one_set(pics: Path) -> None:
    head = "filename,label"
    write(
        pics, flat("jpg") | {"a.csv": lines([head, *ROWS[:6]]), "b.csv": lines([head, *ROWS[6:]])}
    )

    assert init(pics).classes == (("cat", 6), ("dog", 6))


def test_folders_as_the_answer_go_without_a_file_that_is_asked_about(pics: Path) -> None:
    write(pics, flat("jpg") | {"l.csv": lines(["filename,label", *ROWS, "0.jpg,dog"])})

    with pytest.raises(
        UsageError, match="--several NAME.* leave_out, combined; `--labels folders`"
    ):
        init(pics)
    assert init(pics, labels="folders").classes == ()
    assert init(pics, several="combined").classes == (("cat", 5), ("cat|dog", 1), ("dog", 6))


def test_a_fault_of_a_file_that_nobody_named_says_how_to_go_without_it(pics: Path) -> None:
    write(pics, flat("jpg") | {"l.csv": lines(["filename,label", *ROWS, ",12 images"])})

    with pytest.raises(
        BadData, match="1 lines name no image.*or go without what was found: `--labels folders`"
    ):
        init(pics)
    assert init(pics, labels="folders").classes == ()


def test_objects_of_one_class_do_not_outdo_class_folders(pics: Path) -> None:
    """A detector's boxes of leaves, in folders of diseases."""
    names = [f"{c}/images/{n}.jpg" for c in ("rust", "scab") for n in range(6)]
    texts = {
        name.replace("images", "labels").replace("jpg", "txt"): b"0 .5 .5 .1 .1\n" for name in names
    }
    write(pics, images(names) | texts)

    with pytest.raises(
        UsageError, match=r"differently .*one of 'pics/rust/labels/\*.txt', folders"
    ):
        init(pics)
    assert init(pics, labels="folders").classes == (("rust", 6), ("scab", 6))
    assert init(pics, labels="pics/rust/labels/*.txt").classes == (("0", 12),)


def test_a_list_that_cannot_be_matched_leaves_the_folders_as_a_choice(pics: Path) -> None:
    names = [f"{c}/{n}.jpg" for c in ("cat", "dog") for n in range(6)]
    write(pics, images(names) | {"train.txt": b"0.jpg 0\n"})

    with pytest.raises(
        UsageError, match="folders tell classes, and so may train.txt, which cannot be read"
    ):
        init(pics)
    assert init(pics, labels="folders").classes == (("cat", 6), ("dog", 6))


def test_what_a_table_says_strangely_is_remarked(pics: Path) -> None:
    rows = [f"train/{n}.jpg,{'NA' if n == 0 else f'id{n}'},test" for n in range(N)]
    files = images([f"train/{n}.jpg" for n in range(N)])
    write(pics, files | {"l.csv": lines(["filename,label,split", *rows])})

    said = describe(init(pics))

    assert "classes are named like no value: NA" in said
    assert "Many images have a class of their own (12 classes of 12 images)" in said
    assert "12 images lie in a folder of another split than the table names (train/0.jpg)" in said
    assert "The splits are taken from the table" in said


def test_a_folder_that_is_perhaps_no_class_is_remarked_with_what_leaves_it_out(pics: Path) -> None:
    write(pics, images([f"{c}/{n}.jpg" for c in ("cat", "dog", "trash") for n in range(4)]))

    assert "trash is read as a class: `--exclude trash` leaves it out." in init(pics).problems
    assert init(pics, exclude=("trash",)).classes == (("cat", 4), ("dog", 4))
