"""Tensors out of a file of torch.save (its format before torch 1.6), without torch and without running pickled code."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import BadData

HEAD_PICKLES = 3  # magic number, version of the protocol, sizes of types
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass(frozen=True)
class _Storage:
    """The storage of a tensor: its key, and the type of its numbers."""

    key: str
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class _Tensor:
    """A tensor as the pickle describes it: offset and strides in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Return name -> array of a state dict, in the order of the file. Raises BadData for another format."""
    try:
        with path.open("rb") as file:
            return _read(file)
    except (
        pickle.UnpicklingError,
        ValueError,
        EOFError,
        KeyError,
        AttributeError,
        TypeError,
    ) as error:
        remedy = "install the package again: `make setup`"
        raise BadData(
            "not a state dict of torch.save", file=path, value=error, remedy=remedy
        ) from error


def _read(file: BinaryIO) -> dict[str, NDArray[Any]]:
    for _ in range(HEAD_PICKLES):
        _Described(file).load()
    described: dict[str, _Tensor] = _Described(file).load()
    keys: list[str] = _Described(file).load()
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in described.values()}

    # The storages follow: each its number of elements, then the elements.
    numbers: dict[str, NDArray[Any]] = {}
    for key in keys:
        n_elements = int.from_bytes(file.read(8), "little")
        numbers[key] = np.frombuffer(
            file.read(n_elements * dtypes[key].itemsize), dtypes[key], n_elements
        )
    return {name: _array(tensor, numbers[tensor.storage.key]) for name, tensor in described.items()}


def _array(tensor: _Tensor, numbers: NDArray[Any]) -> NDArray[Any]:
    """A tensor that lies strided among a storage's elements. Raises ValueError where it reaches beyond them."""
    steps = [
        (length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True)
    ]
    if min(tensor.offset, *steps, 0) < 0 or tensor.offset + sum(steps) >= len(numbers):
        raise ValueError(f"a tensor of shape {tensor.shape} reaches beyond its storage")
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :], tensor.shape, strides, writeable=False
    )


class _Described(pickle.Unpickler):
    """Unpickle descriptions of tensors in place of tensors."""

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the four objects that a state dict names. Raises UnpicklingError for any other."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _described_tensor
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a state dict")

    def persistent_load(self, pid: Any) -> _Storage:
        """('storage', type, key, device, number of elements, None)."""
        return _Storage(key=str(pid[2]), dtype=pid[1])


def _described_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))
