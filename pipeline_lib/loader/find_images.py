"""Find the images of a selection in the betons, by image_id."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pipeline_lib.betons.layout import Array
from pipeline_lib.betons.read import Beton, open_beton
from pipeline_lib.errors import BadData, OutputDamaged
from pipeline_lib.loader.augmentation import U64, image_keys
from pipeline_lib.tables.beton_index import BETON_INDEX

INDEX_ENDING = ".index.parquet"


@dataclass(frozen=True)
class Images:
    """N images by position, which is the row of the selection, over several betons."""

    image_ids: tuple[str, ...]
    labels_N: torch.Tensor  # int64
    weights_N: torch.Tensor  # float32
    betons: tuple[Beton, ...]
    beton_N: Array  # number in `betons`
    row_N: Array  # row in that beton
    checksums_N: Array  # uint64: of each image, when it was written

    def __len__(self) -> int:
        return len(self.image_ids)

    @cached_property
    def keys_N(self) -> U64:
        """What random draws are keyed by."""
        return image_keys(self.image_ids)

    @cached_property
    def stored_N(self) -> Array:
        """IMAGE: mode, width, height and pointer as the beton has them."""
        stored_N: Array = np.concatenate([beton.samples_N for beton in self.betons])["image"][
            self._rows_of_all_N
        ]
        return stored_N

    @cached_property
    def sizes_N(self) -> U64:
        """Bytes stored of each image."""
        sizes_N: U64 = np.concatenate([beton.sizes_N for beton in self.betons])[self._rows_of_all_N]
        return sizes_N

    @cached_property
    def addresses_N(self) -> U64:
        """Where in this process's memory the stored bytes begin. Valid as long as the betons are held."""
        bases = np.array([beton.content.ctypes.data for beton in self.betons], np.uint64)
        addresses_N: U64 = bases[self.beton_N] + self.stored_N["data_ptr"]
        return addresses_N

    @cached_property
    def _rows_of_all_N(self) -> Array:
        """Row of each image in the tables of all betons, one after another."""
        starts = np.cumsum([0, *(len(beton.samples_N) for beton in self.betons)])
        rows_N: Array = starts[self.beton_N] + self.row_N
        return rows_N

    def stored(self, position: int) -> Array:
        """The bytes of an image as stored."""
        return self._beton(position).stored(int(self.row_N[position]))

    def check(self, position: int) -> None:
        """Raise OutputDamaged where an image's bytes, size and mode are not those that `convert` wrote."""
        if not self.is_whole(position):
            raise self.damaged(position)

    def is_whole(self, position: int) -> bool:
        """Whether an image's bytes, size and mode are those that `convert` wrote."""
        return self._beton(position).checksum(int(self.row_N[position])) == int(
            self.checksums_N[position]
        )

    def damaged(self, position: int) -> OutputDamaged:
        """The error for an image whose bytes are no longer those that were written."""
        file = self._beton(position).path
        value = f"row {self.row_N[position]}, {self.image_ids[position]}"
        remedy = "remove the file and run `dvc repro`, or `dvc checkout` to restore it"
        return OutputDamaged(
            "an image in the beton is damaged", file=file, value=value, remedy=remedy
        )

    def _beton(self, position: int) -> Beton:
        return self.betons[int(self.beton_N[position])]


def find_images(folder: Path, selection: pd.DataFrame) -> Images:
    """Look up each image_id of the selection (columns image_id, label, weight) in the betons of a folder.

    Raises BadData naming an image that is missing, OutputDamaged for a beton that does not fit its index.
    """
    image_ids = tuple(selection["image_id"])
    index = _read_indexes(folder)
    at_N = pd.Index(index["image_id"]).get_indexer(pd.Index(image_ids))
    if (at_N < 0).any():
        _raise_missing(folder, [image_ids[n] for n in np.flatnonzero(at_N < 0)])

    # Only betons that hold a selected image are opened, and each is compared with all rows of its index.
    used, beton_N = np.unique(index["beton"].cat.codes.to_numpy()[at_N], return_inverse=True)
    names = index["beton"].cat.categories[used]
    rows = index.groupby("beton", observed=True)["row"]
    betons = tuple(
        _open_indexed(folder / f"{name}.beton", rows.get_group(name).to_numpy(np.int64))
        for name in names
    )
    return Images(
        image_ids=image_ids,
        labels_N=torch.tensor(selection["label"].to_numpy(np.int64)),
        weights_N=torch.tensor(selection["weight"].to_numpy(np.float32)),
        betons=betons,
        beton_N=beton_N,
        row_N=index["row"].to_numpy(np.int64)[at_N],
        checksums_N=index["checksum"].to_numpy(np.uint64)[at_N],
    )


def _read_indexes(folder: Path) -> pd.DataFrame:
    """All indexes as one frame: image_id, row, checksum, beton (a category: its name without ending)."""
    paths = sorted(folder.glob(f"*{INDEX_ENDING}"))
    if not paths:
        raise BadData("no betons there", file=folder, remedy="run `dvc repro convert`")
    names = [path.name.removesuffix(INDEX_ENDING) for path in paths]
    frames = [BETON_INDEX.read(path) for path in paths]

    # A category per row instead of a name: a million rows hold a few hundred names.
    codes = np.repeat(np.arange(len(paths)), [len(frame) for frame in frames])
    return pd.concat(frames, ignore_index=True).assign(
        beton=pd.Categorical.from_codes(codes, pd.Index(names))
    )


def _open_indexed(path: Path, rows: Array) -> Beton:
    """Open a beton whose index names each of its rows once, in order: any other would read beyond its tables."""
    # A file and an index of different runs may both be whole.
    beton = open_beton(path)
    if not np.array_equal(rows, np.arange(len(beton.samples_N))):
        value = f"{len(beton.samples_N)} images, rows {rows.min()} to {rows.max()} in the index"
        remedy = "remove both files and run `dvc repro`, or `dvc checkout` to restore them"
        raise OutputDamaged(
            "a beton and its index do not belong together", file=path, value=value, remedy=remedy
        )
    return beton


def _raise_missing(folder: Path, missing: list[str]) -> None:
    value = missing[0] if len(missing) == 1 else f"{missing[0]} and {len(missing) - 1} more"
    remedy = "run `dvc repro`: selection and betons are of different runs"
    raise BadData("selected images are in no beton", file=folder, value=value, remedy=remedy)
