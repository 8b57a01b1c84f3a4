"""The same images in every loader's own form, written once. JPEG goes in byte for byte as the files hold it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from PIL import Image

from pipeline_lib.convert.beton_writer import BetonWriter, page_bytes
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.convert.read_back import Written
from pipeline_lib.convert.stored import ReceivedImage, stored_form
from pipeline_lib.pixels import PixelRules
from pipeline_lib.tables.beton_index import BETON_INDEX

TAR_IMAGES = 64  # small, so that two workers get equally many


def write_store(store: str, jpegs: Sequence[Path], folder: Path) -> None:
    """Write the images as `store`, a key of STORES, into `folder`; nothing is done when they are there already."""
    done = folder / "written.txt"
    said = "\n".join(f"{path} {path.stat().st_mtime_ns}" for path in jpegs)
    if done.exists() and done.read_text(encoding="utf-8") == said:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    STORES[store](jpegs, folder)
    done.write_text(said, encoding="utf-8")


def write_tar_files(jpegs: Sequence[Path], folder: Path) -> None:
    """For WebDataset."""
    import webdataset

    with webdataset.ShardWriter(str(folder / "%03d.tar"), maxcount=TAR_IMAGES, verbose=0) as writer:
        for number, path in enumerate(jpegs):
            writer.write({"__key__": path.stem, "jpg": path.read_bytes(), "cls": number % 1000})


def write_chunks(jpegs: Sequence[Path], folder: Path) -> None:
    """For LitData."""
    import litdata

    rows = list(enumerate(map(str, jpegs)))
    litdata.optimize(
        _labelled,
        rows,
        str(folder),
        chunk_bytes="4MB",
        num_workers=1,
        start_method="fork",
        verbose=False,
    )


def _labelled(row: tuple[int, str]) -> dict[str, object]:
    return {"image": Image.open(row[1]), "label": row[0] % 1000}


def write_mosaic_shards(jpegs: Sequence[Path], folder: Path) -> None:
    """For MosaicML Streaming."""
    import streaming

    with streaming.MDSWriter(out=str(folder), columns={"image": "jpeg", "label": "int"}) as writer:
        for number, path in enumerate(jpegs):
            with Image.open(path) as image:
                writer.write({"image": image, "label": number % 1000})


def write_beton(jpegs: Sequence[Path], folder: Path, *, params: ConvertParams) -> None:
    """For FFCV and for us: what `convert` keeps of each image with these parameters."""
    with (folder / "images.beton").open("wb") as file:
        writer, checksums = BetonWriter(file, n_max=len(jpegs), page_size=page_bytes(1 << 23)), []
        for path in jpegs:
            with Image.open(path) as opened:
                width, height = opened.size
            image = ReceivedImage(path.stem, path.name, 0, path.stat().st_size, width, height, 1)
            stored = stored_form(path.read_bytes(), image, params, PixelRules(), shards=path.parent)
            writer.add(stored, name=path.stem)
            checksums.append(Written.of(path.stem, stored).checksum)
        writer.finish()
    names = [path.stem for path in jpegs]
    rows = {"row": range(len(jpegs)), "image_id": names, "checksum": checksums}
    BETON_INDEX.write(pd.DataFrame(rows), folder / "images.index.parquet")


STORES: dict[str, Callable[[Sequence[Path], Path], None]] = {
    "tar": write_tar_files,
    "litdata": write_chunks,
    "mds": write_mosaic_shards,
    "jpg500": partial(write_beton, params=ConvertParams(mode="jpg")),
    "raw400": partial(
        write_beton, params=ConvertParams(mode="raw", long_side_px=400)
    ),  # FFCV's raw400
}
