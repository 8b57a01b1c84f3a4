"""A network with the weights that torchvision or timm publish for it, to classify with: by name, fetched once.

`torchvision:ResNet18_Weights.IMAGENET1K_V1` names a member of torchvision's enums, `timm:resnet18.a1_in1k` a network of
timm's with a tag of its weights. Files lie in the caches of torch (TORCH_HOME) and of the Hugging Face hub (HF_HOME).

images_BHWC: uint8 RGB of `view`. K classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.backbones.imagenet import imagenet_classes
from pipeline_lib.errors import BadData, ConfigError, SourceMissing
from pipeline_lib.networks import timm_store, torchvision_store
from pipeline_lib.networks.timm_store import TIMM, fetched_from_hub, timm_weights
from pipeline_lib.networks.torchvision_store import TORCHVISION, fetched, torchvision_weights
from pipeline_lib.pixels.network_view import NetworkView

if TYPE_CHECKING:
    from pipeline_lib.networks.classifier import Classifier

AT_ONCE = 8  # images: memory stays small with large networks


@dataclass(frozen=True)
class Published:
    """An open network. classes: id and name by output index. view: how it looks at an image."""

    classes: tuple[tuple[str, str], ...]
    view: NetworkView
    classifier: Classifier

    def probabilities(self, images_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Softmax, probabilities_BK; not calibrated."""
        import torch

        parts = []
        with torch.inference_mode():
            for start in range(0, len(images_BHWC), AT_ONCE):
                part = torch.from_numpy(images_BHWC[start : start + AT_ONCE])
                parts.append(self.classifier(part).softmax(dim=1).numpy())
        return np.concatenate(parts).astype(np.float32, copy=False)


def open_published(ref: str, *, named_in: str) -> Published:
    """Open a network by its name; its weights are fetched if they are not in the cache. named_in: for errors.

    Raises ConfigError for a name that torchvision or timm do not have, or weights that name no classes; SourceMissing
    when they cannot be fetched, BadData when they are damaged, DependencyMissing without torch.
    """
    if ref.startswith(TORCHVISION):
        return _of_torchvision(ref.removeprefix(TORCHVISION), named_in)
    return _of_timm(ref, named_in)


def _of_torchvision(name: str, named_in: str) -> Published:
    import torchvision.models as zoo

    from pipeline_lib.networks.classifier import Classifier

    weights, path = torchvision_weights(name, named_in=named_in)
    network_name = _network_of(weights)
    if network_name is None:
        raise _names_no_classes(TORCHVISION + name, named_in)
    digest = fetched(weights, path, named_in=named_in)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(digest):
        what, remedy = "the file is not the one that its name promises", "remove it, then run again"
        raise BadData(what, file=path, value=f"sha256 {found[:8]}...", remedy=remedy)
    network = zoo.get_model(network_name, weights=weights, progress=False)
    seen = torchvision_store.input_of(weights)
    classifier = Classifier(network.eval(), mean=seen.mean, std=seen.std)
    return Published(_with_ids(weights.meta["categories"]), seen.view, classifier)


def _network_of(weights: Any) -> str | None:
    """The name of the classifier that an enum's member belongs to; None if it is no classifier of images."""
    import torchvision.models as zoo

    names = zoo.list_models(module=zoo)
    return next((name for name in names if zoo.get_model_weights(name) is type(weights)), None)


def _with_ids(names: list[str]) -> tuple[tuple[str, str], ...]:
    """Id and name of each class: ImageNet's ids where these are its classes, else the name twice."""
    known = imagenet_classes()
    if len(names) == len(known):
        return tuple((wnid, name) for (wnid, _), name in zip(known, names, strict=True))
    return tuple((name, name) for name in names)


def _of_timm(ref: str, named_in: str) -> Published:
    import timm
    from safetensors import SafetensorError

    from pipeline_lib.networks.classifier import Classifier

    name = ref.removeprefix(TIMM)
    published = timm_weights(name, named_in=named_in)
    classes = _classes_of_timm(published.to_dict(), ref, named_in)
    seen = timm_store.input_of(published, ref, named_in=named_in)
    file = None if published.custom_load else fetched_from_hub(published, ref)
    try:
        overlay = {"file": str(file)} if file else None
        network = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
    except (RuntimeError, SafetensorError) as error:  # other tensors than the network's, or torn
        remedy = f"remove {file or 'them'} from the cache, then run again"
        what = "these are not the weights of the network"
        raise BadData(what, file=ref, value=error, remedy=remedy) from error
    except OSError as error:
        remedy = "check the network"
        what = "the weights cannot be fetched"
        raise SourceMissing(what, file=ref, value=error, remedy=remedy) from error
    classifier = Classifier(network.eval(), mean=seen.mean, std=seen.std)
    return Published(classes, seen.view, classifier)


def _classes_of_timm(
    published: Mapping[str, Any], ref: str, named_in: str
) -> tuple[tuple[str, str], ...]:
    """The classes of the published weights: their own names, else ImageNet's by their number."""
    import timm.data

    timm_data: Any = timm.data  # without types
    ids = published.get("label_names")
    if ids:
        said = published.get("label_descriptions") or {}
        return tuple((one, str(said.get(one, one)).partition(",")[0]) for one in ids)
    if published.get("num_classes") == len(imagenet_classes()):
        return imagenet_classes()
    subset = timm_data.infer_imagenet_subset(dict(published))
    if not subset:
        raise _names_no_classes(ref, named_in)
    info = timm_data.ImageNetInfo(subset)
    return tuple(
        (wnid, info.label_name_to_description(wnid).partition(",")[0])
        for wnid in info.label_names()
    )


def _names_no_classes(ref: str, named_in: str) -> ConfigError:
    remedy = "name weights of a classifier, such as torchvision:ResNet18_Weights.IMAGENET1K_V1"
    return ConfigError("these weights name no classes", file=named_in, value=ref, remedy=remedy)
