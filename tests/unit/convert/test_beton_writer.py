"""The writer against FFCV's own, and what happens when a beton cannot be written or is damaged."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_lib.betons.layout import HEADER, SAMPLES_AT, Array
from pipeline_lib.betons.read import open_beton
from pipeline_lib.convert.beton_writer import BetonWriter, page_bytes
from pipeline_lib.convert.jpeg_stream import encode_jpeg
from pipeline_lib.convert.read_back import Written, check_written
from pipeline_lib.convert.stored import StoredForm
from pipeline_lib.errors import BadData, NoSpace, OutputDamaged
from pipeline_lib.files.atomic import atomic_file

PAGE = 2**21
Photo = Callable[[int, int, int], Array]


def stored(pixels: Array, *, jpg: bool = False) -> StoredForm:
    height, width = pixels.shape[:2]
    return (
        StoredForm.jpg(encode_jpeg(pixels, quality=90), width=width, height=height)
        if jpg
        else StoredForm.raw(pixels)
    )


def write(path: Path, images: list[Array], *, jpg: bool = False) -> None:
    with atomic_file(path) as file:
        writer = BetonWriter(file, n_max=len(images), page_size=PAGE)
        for number, pixels in enumerate(images):
            writer.add(stored(pixels, jpg=jpg), name=str(number))
        writer.finish()


@pytest.mark.parametrize("mode", ["raw", "jpg"])
def test_the_bytes_are_those_of_ffcvs_own_writer_with_one_worker(
    mode: str, photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle. Images large enough that pages are left partly empty; our JPEG encoder stands in for theirs."""
    from pipeline_lib.loader import ffcv_loader  # isort: skip  # noqa: F401 - first: it keeps torch's threads as they are

    import ffcv.fields.rgb_image
    from ffcv.fields import IntField, RGBImageField
    from ffcv.writer import DatasetWriter

    images = [photo(n, 400 + n, 500) for n in range(8)]
    monkeypatch.setattr(
        ffcv.fields.rgb_image,
        "encode_jpeg",
        lambda p, quality: np.frombuffer(encode_jpeg(p, quality=quality), np.uint8),
    )
    fields = {"image": RGBImageField(write_mode=mode), "row": IntField()}

    DatasetWriter(
        str(tmp_path / "theirs"), fields, page_size=PAGE, num_workers=1
    ).from_indexed_dataset([(image, row) for row, image in enumerate(images)])
    write(tmp_path / "ours", images, jpg=mode == "jpg")

    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_ffcvs_own_loader_reads_what_was_written(photo: Photo, tmp_path: Path) -> None:
    from pipeline_lib.loader.ffcv_loader import Loader

    written = [photo(n, 40, 30) for n in range(7)]
    write(tmp_path / "x.beton", written)

    batches = list(Loader(str(tmp_path / "x.beton"), batch_size=7, num_workers=1, drop_last=False))

    images, rows = batches[0]
    assert np.array_equal(images.numpy(), np.stack(written))
    assert rows.flatten().tolist() == list(range(7))


def test_a_beton_reads_back_as_it_was_written(photo: Photo, tmp_path: Path) -> None:
    images = [photo(n, 10 + n, 20) for n in range(5)]
    write(tmp_path / "x.beton", images)

    beton = open_beton(tmp_path / "x.beton")

    assert [beton.stored(row).tobytes() for row in range(5)] == [
        image.tobytes() for image in images
    ]
    assert beton.samples_N["image"]["height"].tolist() == [10, 11, 12, 13, 14]


def test_a_page_is_the_smallest_that_ffcv_accepts_and_the_largest_image_fits() -> None:
    assert page_bytes(1) == page_bytes(2**21) == 2**21
    assert page_bytes(2**21 + 1) == 2**22


def test_an_image_larger_than_a_page_is_named(photo: Photo, tmp_path: Path) -> None:
    with pytest.raises(
        BadData,
        match=rf"^wide/1\.png: more bytes than a page of {PAGE} \(found: 3000000 bytes\)\. Remedy: set",
    ):
        with atomic_file(tmp_path / "x.beton") as file:
            BetonWriter(file, n_max=1, page_size=PAGE).add(
                stored(photo(0, 1000, 1000)), name="wide/1.png"
            )

    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(tiny_disk: Path, photo: Photo) -> None:
    with pytest.raises(
        NoSpace,
        match=r"x\.beton: the disk is full \(found: \d+ MB left\)\. Remedy: free some space",
    ):
        write(tiny_disk / "x.beton", [photo(n, 600, 600) for n in range(3)])

    assert list(tiny_disk.iterdir()) == []


def test_an_error_leaves_the_old_beton_as_it_was(photo: Photo, tmp_path: Path) -> None:
    write(tmp_path / "x.beton", [photo(0, 8, 8)])
    before = (tmp_path / "x.beton").read_bytes()

    with pytest.raises(KeyError), atomic_file(tmp_path / "x.beton") as file:
        BetonWriter(file, n_max=2, page_size=PAGE).add(stored(photo(1, 8, 8)), name="a")
        raise KeyError

    assert (tmp_path / "x.beton").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_beton_cut_anywhere_is_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    write(folder / "whole", [np.full((4, 4, 3), n, np.uint8) for n in range(3)])
    whole = (folder / "whole").read_bytes()
    (folder / "cut").write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])

    with pytest.raises(OutputDamaged, match=r"a beton is (unfinished or|absent or) ?(ends early)"):
        open_beton(folder / "cut")


def set_bytes(path: Path, offset: int, value: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(value.to_bytes(8, "little"))


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, 3, "not a beton of this pipeline"),
        (HEADER.itemsize, 7, "not a beton of this pipeline"),
        (16, 0, "a beton is unfinished or ends early"),
        (SAMPLES_AT + 5, 2**40, "pointers in a beton do not fit together"),
        (SAMPLES_AT + 16, 5, "pointers in a beton do not fit together"),
        (2 * PAGE + 8, 2**40, "pointers in a beton do not fit together"),
        (2 * PAGE + 16, 47, "pointers in a beton do not fit together"),
    ],
)
def test_a_damaged_beton_is_refused_before_anything_is_read(
    offset: int, value: int, message: str, photo: Photo, tmp_path: Path
) -> None:
    write(tmp_path / "x.beton", [photo(0, 4, 4)])
    set_bytes(tmp_path / "x.beton", offset, value)

    with pytest.raises(
        OutputDamaged, match=rf"x\.beton: {message}\. Remedy: remove it and run `dvc repro`"
    ):
        open_beton(tmp_path / "x.beton")


def test_an_absent_beton_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputDamaged, match=r"x\.beton: a beton is absent or ends early"):
        open_beton(tmp_path / "x.beton")


@pytest.mark.parametrize("jpg", [False, True])
def test_one_changed_byte_of_an_image_does_not_read_back(
    jpg: bool, photo: Photo, tmp_path: Path
) -> None:
    images = [photo(n, 80, 80) for n in range(2)]
    write(tmp_path / "x.beton", images, jpg=jpg)
    meant = [Written.of(f"p{n}", stored(pixels, jpg=jpg)) for n, pixels in enumerate(images)]
    check_written(tmp_path / "x.beton", meant)
    set_bytes(
        tmp_path / "x.beton",
        int(open_beton(tmp_path / "x.beton").samples_N["image"]["data_ptr"][1]) + 400,
        0,
    )

    with pytest.raises(
        OutputDamaged,
        match=r"does not read back .*\(found: 1 of 2 rows, the first is p1\)\. Remedy: run",
    ):
        check_written(tmp_path / "x.beton", meant)
