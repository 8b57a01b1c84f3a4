"""Networks that torchvision and timm publish, from a local server: random weights of the true shape, not theirs."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision.models as zoo
from PIL import Image
from safetensors.torch import save_file

from pipeline_lib.errors import BadData, ConfigError, SourceMissing
from pipeline_lib.networks.published import _classes_of_timm, open_published

SQUEEZENET = zoo.SqueezeNet1_1_Weights.IMAGENET1K_V1
TINY = "test_efficientnet.r160_in1k"
NAMES = {"torchvision": f"torchvision:{SQUEEZENET}", "timm": f"timm:{TINY}"}


class Hub(SimpleHTTPRequestHandler):
    """Files of a folder, with the headers of the Hugging Face hub."""

    def end_headers(self) -> None:
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", '"1"')
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder behind a local server, where torchvision and timm look; the caches are empty."""
    folder = tmp_path / "served"
    hub = folder / "timm" / TINY / "resolve/main"
    hub.mkdir(parents=True)
    torch.manual_seed(0)
    save_file(timm.create_model(TINY, pretrained=False).state_dict(), hub / "model.safetensors")
    torch.save(zoo.squeezenet1_1().state_dict(), folder / "w.pth")
    digest = hashlib.sha256((folder / "w.pth").read_bytes()).hexdigest()
    (folder / "w.pth").rename(folder / f"squeezenet1_1-{digest[:8]}.pth")
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Hub, directory=str(folder))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        url = f"{address}/squeezenet1_1-{digest[:8]}.pth"
        monkeypatch.setattr(SQUEEZENET.value, "url", url)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        yield folder
        server.shutdown()


def image(tmp_path: Path) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((400, 300), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("name", NAMES)
def test_a_published_network_answers_as_its_publisher_shows_it(
    name: str, served: Path, tmp_path: Path
) -> None:
    """Oracle: torchvision's and timm's own transforms. Theirs round twice (resize, crop), ours once."""
    opened = open_published(NAMES[name], named_in="--model")

    found = opened.probabilities(opened.view(np.asarray(image(tmp_path)))[None])
    if name == "timm":
        network = timm.create_model(TINY, pretrained=True).eval()
        timm_data: Any = timm.data
        transform = timm_data.create_transform(**timm_data.resolve_model_data_config(network))
    else:
        network, transform = zoo.squeezenet1_1(weights=SQUEEZENET).eval(), SQUEEZENET.transforms()
    with torch.inference_mode():
        expected = network(transform(image(tmp_path))[None]).softmax(dim=1).numpy()
    assert np.abs(found - expected).max() < 0.02 * expected.max()
    assert found.argmax() == expected.argmax()
    assert opened.classes[0] == ("n01440764", "tench") and len(opened.classes) == 1000


@pytest.mark.parametrize("name", NAMES)
def test_it_is_fetched_once_and_without_a_network_one_line_says_so(name: str, served: Path) -> None:
    weights = [*served.rglob("*.safetensors"), *served.rglob("*.pth")]
    for path in weights:
        path.rename(path.with_suffix(".away"))
    with pytest.raises(SourceMissing, match=r"cannot be fetched .*check the network"):
        open_published(NAMES[name], named_in="--model")
    for path in weights:
        path.with_suffix(".away").rename(path)

    open_published(NAMES[name], named_in="--model")
    for path in weights:
        path.unlink()

    open_published(NAMES[name], named_in="--model")


def test_a_cached_file_that_is_not_what_its_name_says_is_refused(
    served: Path, tmp_path: Path
) -> None:
    cached = tmp_path / "torch/hub/checkpoints" / SQUEEZENET.url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"torn")

    with pytest.raises(BadData, match="not the one that its name promises .*remove it, then run"):
        open_published(NAMES["torchvision"], named_in="--model")


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("torchvision:ResNet18", "--model: torchvision has no such weights .*ResNet18_Weights.IM"),
        ("torchvision:FasterRCNN_ResNet50_FPN_Weights.DEFAULT", "these weights name no classes"),
        ("torchvision:ResNet18_QuantizedWeights.DEFAULT", "these weights name no classes"),
        (
            "timm:resnet18.a9_in1k",
            "timm publishes no such weights .*name another, such as timm:resnet18.a",
        ),
        ("timm:vit_small_patch14_dinov2.lvd142m", "these weights name no classes"),
    ],
)
def test_a_name_that_cannot_classify_is_refused_before_anything_is_fetched(
    ref: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        open_published(ref, named_in="--model")


def test_classes_of_larger_sets_have_names_too() -> None:
    published: Any = timm.get_pretrained_cfg("convnext_tiny.fb_in22k")

    classes = _classes_of_timm(published.to_dict(), "timm:convnext_tiny.fb_in22k", "--model")

    assert len(classes) == 21841
    assert dict(classes)["n02123045"] == "tabby"
