"""Starting weights: checked, safe to read, and fitted to the classes of the data."""

import hashlib
import io
import logging
import os
import pickle
import re
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipeline_lib.errors import BadData, ConfigError, SourceMissing
from pipeline_lib.networks.build import build_network, head_name
from pipeline_lib.networks.saved_weights import load_weights, save_weights
from pipeline_lib.train.initial_weights import read_weights, start_from


def _network(n_classes: int = 3, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build_network("lenet", n_classes=n_classes, side_px=32)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    "wrap",
    [lambda s: s, lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}, "epoch": 3}],
)
def test_a_pth_file_gives_its_weights_also_through_the_wrappers_of_other_trainers(
    tmp_path: Path, wrap: object
) -> None:
    source, target, path = _network(seed=1), _network(seed=2), tmp_path / "w.pth"
    torch.save(wrap(source.state_dict()), path)  # type: ignore[operator]

    start_from(target, read_weights(path, sha256=_sha256(path)))

    assert _same(source, target)


def test_a_file_of_another_number_of_classes_gives_all_but_the_head_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, target, path = _network(10), _network(3), tmp_path / "w.safetensors"
    save_file(source.state_dict(), path)

    with caplog.at_level(logging.INFO):
        start_from(target, read_weights(path, sha256=_sha256(path)))

    assert torch.equal(source[0].weight, target[0].weight)  # type: ignore[index]
    assert caplog.messages == [
        "starting from w.safetensors: 8 tensors taken, 2 unused, 12 replaced by a fresh one with 3 outputs, all zero"
    ]


def test_a_file_with_another_digest_is_refused_and_the_digest_found_is_named(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.safetensors"
    save_file(_network().state_dict(), path)

    with pytest.raises(
        ConfigError,
        match=f"train.weights_sha256 is of another file.*set train.weights_sha256 to {_sha256(path)}",
    ):
        start_from(_network(), read_weights(path, sha256="0" * 64))


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        SourceMissing, match="nowhere.pth: train.weights: no such file. Remedy: fix train.weights"
    ):
        start_from(_network(), read_weights(tmp_path / "nowhere.pth", sha256="0" * 64))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(build_network("small_cnn", n_classes=3, side_px=32).state_dict(), path)

    with pytest.raises(
        ConfigError, match="of the network's 10 tensors are not in this file.*set train.network"
    ):
        start_from(_network(), read_weights(path, sha256=_sha256(path)))


MUST_NOT_EXIST = Path(tempfile.gettempdir()) / f"must-not-exist-{os.getpid()}"


class _Attack:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (MUST_NOT_EXIST,))  # type: ignore[return-value]


def _archive_with_code() -> bytes:
    """As torch writes it: a zip, whose refusal comes with other words than that of a bare pickle."""
    torch.save({"a": _Attack()}, file := io.BytesIO())
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [pickle.dumps({"a": _Attack()}, protocol=2), _archive_with_code(), b"\x80\x02 torn", b""],
)
def test_a_damaged_file_or_one_with_code_in_it_is_refused_and_not_run(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)

    with pytest.raises(
        BadData, match="not a weight file that can be read safely.*Remedy: name a .safetensors"
    ) as said:
        start_from(_network(), read_weights(path, sha256=_sha256(path)))
    assert not re.search(
        "Re-running|weights_only|False", str(said.value)
    )  # torch's advice to load it unsafely
    assert not MUST_NOT_EXIST.exists()


def test_saved_weights_load_again_and_equal_weights_have_equal_bytes(tmp_path: Path) -> None:
    network, other = _network(seed=1), _network(seed=2)
    save_weights(network, tmp_path / "a")
    save_weights(network.to(memory_format=torch.channels_last), tmp_path / "b")

    load_weights(other, tmp_path / "a")

    assert _same(network, other)
    assert (tmp_path / "a/model.safetensors").read_bytes() == (
        tmp_path / "b/model.safetensors"
    ).read_bytes()


def test_weights_that_do_not_fit_their_description_are_refused(tmp_path: Path) -> None:
    save_weights(_network(3), tmp_path)

    with pytest.raises(
        BadData, match="these weights do not fit the network of model.json.*dvc repro train"
    ):
        load_weights(_network(5), tmp_path)


def test_a_new_linear_head_answers_all_classes_alike_and_another_kind_keeps_fresh_weights(
    tmp_path: Path,
) -> None:
    """SqueezeNet's convolution stands in front of a ReLU, which passes no gradient back at zero."""
    for name in ("lenet", "squeezenet1_1"):
        source, target = (build_network(name, n_classes=n, side_px=32) for n in (10, 3))
        path = tmp_path / f"{name}.safetensors"
        save_file({key: tensor.contiguous() for key, tensor in source.state_dict().items()}, path)

        start_from(target, read_weights(path, sha256=_sha256(path)))

        weights = list(target.get_submodule(head_name(target)).parameters())
        assert any(bool(weight.any()) for weight in weights) == (name == "squeezenet1_1")
