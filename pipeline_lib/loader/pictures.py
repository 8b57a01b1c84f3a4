"""Find the pictures of a selection in the betons, by image_id."""

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
from pipeline_lib.loader.keyed_random import U64, picture_keys
from pipeline_lib.tables.beton_index import BETON_INDEX

INDEX_ENDING = ".index.parquet"


@dataclass(frozen=True)
class Pictures:
    """N pictures by position, which is the row of the selection, over several betons."""

    image_ids: tuple[str, ...]
    labels_N: torch.Tensor  # int64
    weights_N: torch.Tensor  # float32
    betons: tuple[Beton, ...]
    beton_N: Array  # number in `betons`
    row_N: Array  # row in that beton
    checksums_N: Array  # uint64: of each, when it was written

    @cached_property
    def keys_N(self) -> U64:
        """What random draws are keyed by."""
        return picture_keys(self.image_ids)

    @cached_property
    def images_N(self) -> Array:
        """IMAGE: mode, width, height and pointer as the beton has them."""
        samples = np.concatenate([beton.samples_N for beton in self.betons])
        starts = np.cumsum([0, *(len(beton.samples_N) for beton in self.betons)])
        images: Array = samples["image"][starts[self.beton_N] + self.row_N]
        return images

    def stored(self, position: int) -> Array:
        """The bytes of a picture as stored."""
        return self._beton(position).stored(int(self.row_N[position]))

    def is_whole(self, position: int) -> bool:
        """Whether a picture's bytes, size and mode are those that `convert` wrote."""
        return self._beton(position).checksum(int(self.row_N[position])) == int(self.checksums_N[position])

    def damaged(self, position: int) -> OutputDamaged:
        """The error for a picture whose bytes are no longer those that were written."""
        file = self._beton(position).path
        value = f"row {self.row_N[position]}, {self.image_ids[position]}"
        remedy = "remove the file and run `dvc repro`, or `dvc checkout` to restore it"
        return OutputDamaged("a picture in the beton is damaged", file=file, value=value, remedy=remedy)

    def _beton(self, position: int) -> Beton:
        return self.betons[int(self.beton_N[position])]


def find_pictures(folder: Path, selection: pd.DataFrame) -> Pictures:
    """Look up each image_id of the selection (columns image_id, label, weight) in the betons of a folder.

    Raises BadData naming a picture that is missing, OutputDamaged for a beton that does not fit its index.
    """
    image_ids, index = tuple(selection["image_id"]), _read_indexes(folder)
    at = pd.Index(index["image_id"]).get_indexer(pd.Index(image_ids))
    if (at < 0).any():
        _raise_missing(folder, [image_ids[n] for n in np.flatnonzero(at < 0)])
    used, beton_N = np.unique(index["beton"].cat.codes.to_numpy()[at], return_inverse=True)
    names, rows = index["beton"].cat.categories[used], index.groupby("beton", observed=True)["row"]
    return Pictures(
        image_ids,
        torch.tensor(selection["label"].to_numpy(np.int64)),
        torch.tensor(selection["weight"].to_numpy(np.float32)),
        tuple(_open_indexed(folder / f"{name}.beton", rows.get_group(name).to_numpy(np.int64)) for name in names),
        beton_N,
        index["row"].to_numpy(np.int64)[at],
        index["checksum"].to_numpy(np.uint64)[at],
    )


def _read_indexes(folder: Path) -> pd.DataFrame:
    """All indexes as one frame: image_id, row, checksum, beton (a category: its name without ending)."""
    paths = sorted(folder.glob(f"*{INDEX_ENDING}"))
    if not paths:
        raise BadData("no betons there", file=folder, remedy="run `dvc repro convert`")
    names, frames = [path.name.removesuffix(INDEX_ENDING) for path in paths], [BETON_INDEX.read(path) for path in paths]
    codes = np.repeat(np.arange(len(paths)), [len(frame) for frame in frames])
    return pd.concat(frames, ignore_index=True).assign(beton=pd.Categorical.from_codes(codes, pd.Index(names)))


def _open_indexed(path: Path, rows: Array) -> Beton:
    """Open a beton whose index names each of its rows once, in order: any other would read beyond its tables."""
    beton = open_beton(path)
    if not np.array_equal(rows, np.arange(len(beton.samples_N))):
        value = f"{len(beton.samples_N)} pictures, rows {rows.min()} to {rows.max()} in the index"
        remedy = "remove both files and run `dvc repro`, or `dvc checkout` to restore them"
        raise OutputDamaged("a beton and its index do not belong together", file=path, value=value, remedy=remedy)
    return beton


def _raise_missing(folder: Path, missing: list[str]) -> None:
    value = missing[0] if len(missing) == 1 else f"{missing[0]} and {len(missing) - 1} more"
    remedy = "run `dvc repro`: selection and betons are of different runs"
    raise BadData("selected pictures are in no beton", file=folder, value=value, remedy=remedy)
