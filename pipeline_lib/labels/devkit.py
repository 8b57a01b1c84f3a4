"""meta.mat of ImageNet's devkit (ILSVRC2012_devkit_t12): a struct `synsets` with ILSVRC2012_ID, WNID, words, gloss,
num_children, children (IDs), ..."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pipeline_lib.errors import BadData


@contextmanager
def opened_synsets(file: Path | BinaryIO, *, shown: str, remedy: str) -> Iterator[Any]:
    """Give the struct to the block. Raises BadData for any other file, also where a field is missing in the block.

    shown: the file's name in the message.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    faults = MatReadError, ValueError, KeyError, TypeError, IndexError, NotImplementedError
    try:
        yield loadmat(file, squeeze_me=True)["synsets"]
    except faults as error:
        what = "not the devkit's meta.mat"
        raise BadData(what, file=shown, value=repr(error), remedy=remedy) from error


def wnid_of_id(synsets: Any) -> dict[int, str]:
    """ILSVRC2012_ID -> wnid."""
    return {int(one["ILSVRC2012_ID"]): str(one["WNID"]) for one in synsets}
