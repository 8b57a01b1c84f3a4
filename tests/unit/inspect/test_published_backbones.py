"""Networks of torchvision and timm by name: fetched once, and shown images as their own configuration says.

The real weights are on other machines: a server on this one gives random weights of the true shape under their names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import huggingface_hub.constants
import huggingface_hub.file_download
import numpy as np
import pytest
import timm
import torch
import torchvision.models as zoo
from PIL import Image
from safetensors.torch import save_file

from pipeline_lib.errors import BadData, ConfigError, SourceMissing
from pipeline_lib.inspect.embedding import Embedding, find_embedding, look_ahead
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.torch_features import network_of
from testing.images import encoded, photo
from tests.unit.inspect.made_shards import digests, features_of, inspect, make_source

PIXELS = photo(width=640, height=480, seed=3)
DINO, TINY_VIT = "vit_small_patch16_224.dino", "test_vit.r160_in1k"
SQUEEZENET = zoo.SqueezeNet1_1_Weights.IMAGENET1K_V1


@dataclass
class Store:
    """A server of weights. files: path -> content; asked: the paths that were fetched; address: of the server."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The Hugging Face hub and torchvision's server, with empty caches."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            content = served.files.get(self.path)
            self.send_response(404 if content is None else 200)
            if content is None:
                self.send_header("X-Error-Code", "EntryNotFound")
            else:
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", "0" * 40)
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()

        def do_GET(self) -> None:
            served.asked.append(self.path)
            self.do_HEAD()
            self.wfile.write(served.files.get(self.path, b""))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = Store(f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, daemon=True).start()
        template = served.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", served.address)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setattr(huggingface_hub.file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        yield served
        server.shutdown()


def publish_timm(store: Store, name: str, folder: Path) -> Any:
    """Random weights under the name of timm's; returns the network that has them, without its classifier."""
    torch.manual_seed(0)
    network: Any = timm.create_model(name, pretrained=False, num_classes=_n_classes(name))
    save_file(network.state_dict(), folder / "model.safetensors")
    path = f"/timm/{name}/resolve/main/model.safetensors"
    store.files[path] = (folder / "model.safetensors").read_bytes()
    network.reset_classifier(0)
    return network.eval()


def _n_classes(name: str) -> int:
    about = timm.get_pretrained_cfg(name)
    assert about is not None
    return about.num_classes


def publish_squeezenet(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    torch.manual_seed(0)
    network = zoo.squeezenet1_1(weights=None)
    torch.save(network.state_dict(), folder / "weights.pth")
    content = (folder / "weights.pth").read_bytes()
    path = f"/squeezenet1_1-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    store.files[path] = content
    monkeypatch.setattr(SQUEEZENET.value, "url", store.address + path)
    return network.eval()


def named(name: str, **others: Any) -> Embedding:
    found = find_embedding(InspectParams(embedding_weights=name, **others), Path("/nowhere"))
    assert found is not None
    return found


def shown(name: str) -> torch.Tensor:
    """What a network sees of PIXELS."""
    seen = network_of(name, path=Path()).seen
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (seen.mean, seen.std))
    return (torch.from_numpy(seen.view(PIXELS)).permute(2, 0, 1) / 255 - mean) / std


def both(embedding: Embedding, network: Any, name: str) -> tuple[Any, Any]:
    """Our vector, and the network's for the same pixels."""
    image = shown(name)
    with torch.inference_mode():
        expected = network(image[None]).flatten(1)[0].numpy()
    return embedding.vector(PIXELS), expected


@pytest.mark.parametrize(("name", "length"), [(TINY_VIT, 64), (DINO, 384)])
def test_a_network_of_timms_is_fetched_once_and_gives_its_pooled_features(
    store: Store, tmp_path: Path, name: str, length: int
) -> None:
    network = publish_timm(store, name, tmp_path)

    first, second = named(f"timm:{name}"), named(f"timm:{name}")

    found, expected = both(first, network, f"timm:{name}")
    assert found.shape == (length,)
    assert found == pytest.approx(expected, abs=1e-4)
    assert np.array_equal(found, second.vector(PIXELS))
    assert len(store.asked) == 1
    (content,) = store.files.values()
    assert first.kind == f"embedding:{hashlib.sha256(content).hexdigest()[:12]}"


def test_a_classifier_of_torchvisions_is_fetched_once_and_gives_what_its_classifier_sees(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = publish_squeezenet(store, tmp_path, monkeypatch)
    name = f"torchvision:{SQUEEZENET}"

    found, again = named(name), named(name)

    vector, expected = both(
        found, lambda image: torch.relu(network.features(image)).mean((2, 3)), name
    )
    assert vector == pytest.approx(expected, abs=1e-4)
    assert np.array_equal(vector, again.vector(PIXELS))
    assert len(store.asked) == 1


def test_every_number_of_workers_and_every_memo_give_the_same_features(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline_lib.harness import shard_engine

    publish_timm(store, TINY_VIT, tmp_path)
    monkeypatch.setattr(shard_engine, "SMALL_BYTES", 0)
    make_source(
        tmp_path,
        {f"made/a/{n}.png": encoded(photo(width=70, height=60, seed=n), "PNG") for n in range(5)},
        per_shard=2,
    )
    params = InspectParams(embedding_weights=f"timm:{TINY_VIT}")

    alone = inspect(tmp_path, params, workers=1, out="alone")
    remembered = inspect(tmp_path, params, workers=2, out="remembered")
    (tmp_path / "state").rename(tmp_path / "forgotten")
    two = inspect(tmp_path, params, workers=2, out="two")

    assert digests(alone) == digests(remembered) == digests(two)
    assert set(features_of(alone)["vector"].map(len)) == {64}


@pytest.mark.parametrize(
    "name", ["timm:tf_efficientnet_lite0", f"timm:{TINY_VIT}", f"timm:{DINO}", "timm:mixer_b16_224"]
)
def test_an_image_is_shown_as_timms_own_transform_shows_it(name: str) -> None:
    about: Any = timm.get_pretrained_cfg(name.removeprefix("timm:"))
    timm_data: Any = timm.data  # without types
    rules = timm_data.resolve_data_config(pretrained_cfg=about.to_dict())
    transform = timm_data.create_transform(**rules)

    _assert_alike(shown(name), transform(Image.fromarray(PIXELS)))


@pytest.mark.parametrize(
    "enum",
    [
        zoo.ResNet50_Weights.IMAGENET1K_V1,
        zoo.ResNet50_Weights.IMAGENET1K_V2,
        zoo.EfficientNet_B0_Weights.IMAGENET1K_V1,
        zoo.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1,
    ],
    ids=str,
)
def test_an_image_is_shown_as_torchvisions_own_transform_shows_it(enum: Any) -> None:
    _assert_alike(shown(f"torchvision:{enum}"), enum.transforms()(Image.fromarray(PIXELS)))


def _assert_alike(ours: torch.Tensor, expected: torch.Tensor) -> None:
    """But for the last grey level: libraries round after resizing and cut a whole number of pixels."""
    assert ours.shape == expected.shape
    assert float((ours - expected).abs().mean()) < 0.05
    assert float((ours.mean((1, 2)) - expected.mean((1, 2))).abs().max()) < 0.02


def test_a_file_is_read_as_the_network_it_is_said_to_be_of(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = timm.create_model(TINY_VIT, pretrained=False)
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    network.reset_classifier(0)
    digest = hashlib.sha256((tmp_path / "mine.safetensors").read_bytes()).hexdigest()
    file: dict[str, Any] = {
        "embedding_weights": "mine.safetensors",
        "weights_sha256": digest,
    }

    mine = find_embedding(InspectParams(**file, embedding_network=f"timm:{TINY_VIT}"), tmp_path)

    assert mine is not None
    found, expected = both(mine, network.eval(), f"timm:{TINY_VIT}")
    assert found == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ConfigError, match=r"mine\.safetensors: not weights of resnet18"):
        look_ahead(InspectParams(**file, embedding_network="resnet18"), tmp_path)


# What is not there, or not what it should be


def test_without_a_network_one_line_says_what_could_not_be_fetched(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = "http://127.0.0.1:9"
    monkeypatch.setattr(
        huggingface_hub.file_download,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        closed + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(SQUEEZENET.value, "url", f"{closed}/squeezenet1_1-12345678.pth")

    for name in (f"timm:{TINY_VIT}", f"torchvision:{SQUEEZENET}"):
        with pytest.raises(SourceMissing, match="cannot be fetched") as error:
            look_ahead(InspectParams(embedding_weights=name), tmp_path)
        assert "\n" not in str(error.value)


def test_weights_that_the_hub_does_not_have_are_named(store: Store) -> None:
    with pytest.raises(
        SourceMissing, match="timm:test_vit.r160_in1k: the weights cannot be fetched"
    ):
        named(f"timm:{TINY_VIT}")


def test_fetched_weights_that_are_not_the_pinned_ones_are_refused(
    store: Store, tmp_path: Path
) -> None:
    publish_timm(store, TINY_VIT, tmp_path)

    with pytest.raises(ConfigError, match="not the one inspect.weights_sha256 names"):
        named(f"timm:{TINY_VIT}", weights_sha256="0" * 64)


def test_a_damaged_download_is_refused_and_not_kept(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_squeezenet(store, tmp_path, monkeypatch)
    (path,) = store.files
    store.files[path] = b"torn"

    with pytest.raises(BadData, match="what was fetched is damaged"):
        named(f"torchvision:{SQUEEZENET}")
    assert not list((tmp_path / "torch").rglob("*.pth"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "timm:vit_smal_patch16_224.dino",
            r"timm publishes no such weights .*such as timm:vit_small_patch16_224.dino",
        ),
        ("timm:hf-hub:evil/model", "timm publishes no such weights"),
        ("torchvision:ResNet18", "torchvision has no such weights"),
    ],
)
def test_a_name_that_nobody_publishes_is_refused_with_the_nearest(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        named(name)


def test_a_published_name_brings_its_network_along() -> None:
    with pytest.raises(ValueError, match=f"timm:{DINO} names its network: leave embedding_network"):
        InspectParams(embedding_weights=f"timm:{DINO}", embedding_network="resnet18")
