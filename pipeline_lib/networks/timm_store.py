"""Weights that timm publishes: by the names of its networks with their tags, in the Hugging Face hub's cache (HF_HOME).

The hub's client asks the network even for files in its cache, and tries for a minute where there is none: here the cache
comes first, then one request tells whether the hub can be reached.
"""

from __future__ import annotations

import difflib
import logging
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from pipeline_lib.errors import ConfigError, DependencyMissing, SourceMissing
from pipeline_lib.files.atomic import translate_full_disk
from pipeline_lib.pixels.network_view import RESAMPLING, NetworkInput, NetworkView

log = logging.getLogger(__name__)
TIMM: Final = "timm:"  # how such a name begins
FILES: Final = ("model.safetensors", "pytorch_model.bin")
ANSWER_S: Final = 10
HUB_FOLDER: Final = "models--timm--"  # how a folder of the cache begins
CROP_MODES: Final = ("center", "squash")  # a few networks want a border around the image


def timm_weights(name: str, *, named_in: str) -> Any:
    """What timm publishes about a network's weights (its PretrainedCfg), by its name without the prefix.

    named_in: the parameter or option, for errors. Raises ConfigError when timm publishes none of this name,
    DependencyMissing without timm.
    """
    try:
        import timm
    except ImportError as error:
        raise DependencyMissing(
            "timm is not installed", file=named_in, value=TIMM + name, remedy="run `make setup`"
        ) from error
    if not timm.is_model_pretrained(name):
        known = [TIMM + one for one in timm.list_models(pretrained=True)]
        nearest = ", ".join(difflib.get_close_matches(TIMM + name, known, n=3, cutoff=0))
        remedy = f"name another, such as {nearest}"
        raise ConfigError(
            "timm publishes no such weights", file=named_in, value=TIMM + name, remedy=remedy
        )
    return timm.get_pretrained_cfg(name)


def input_of(published: Any, ref: str, *, named_in: str) -> NetworkInput:
    """What weights were trained to see, as timm's configuration says. Raises ConfigError for what is not done here."""
    _, height_px, width_px = published.input_size
    known = published.crop_mode in CROP_MODES and published.interpolation in RESAMPLING
    if height_px != width_px or not known:
        shape = f"{width_px} x {height_px} px, {published.crop_mode}, {published.interpolation}"
        raise ConfigError(
            "it looks at images in a way that is not supported",
            file=named_in,
            value=f"{ref}: {shape}",
            remedy="name another network",
        )
    view = NetworkView(
        height_px,
        published.crop_pct,
        squash=published.crop_mode == "squash",
        resampling=RESAMPLING[published.interpolation],
    )
    return NetworkInput(view, tuple(published.mean), tuple(published.std))


def fetched_from_hub(published: Any, ref: str) -> Path | None:
    """Return the file of weights after fetching it if it is not in the cache; None where they lie elsewhere than in the hub.

    Raises SourceMissing.
    """
    from huggingface_hub import constants, hf_hub_download, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    repository = published.hf_hub_id
    if not repository:
        return None
    names = (published.hf_hub_filename,) if published.hf_hub_filename else FILES
    for name in names:
        cached = try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return Path(cached)
    url = hf_hub_url(repository, names[0])
    _require_answer(url, ref)
    log.info("fetching %s", ref)
    for name in names:
        try:
            with translate_full_disk(Path(constants.HF_HUB_CACHE)):
                return Path(hf_hub_download(repository, name))
        except EntryNotFoundError:
            continue
        except (HfHubHTTPError, OSError) as error:
            raise _not_fetched(ref, url, error) from error
    raise _not_fetched(ref, url, f"no file {' or '.join(names)} there")


def cached_in_hub() -> list[tuple[str, Path]]:
    """Name and file of each network of timm's whose weights are in the hub's cache."""
    from huggingface_hub import constants, try_to_load_from_cache

    folders = sorted(Path(constants.HF_HUB_CACHE).glob(f"{HUB_FOLDER}*"))
    if not folders:
        return []
    import timm

    found = []
    for name in (folder.name.removeprefix(HUB_FOLDER) for folder in folders):
        if timm.is_model_pretrained(name):
            cached = (try_to_load_from_cache(f"timm/{name}", file) for file in FILES)
            found += [(name, Path(file)) for file in cached if isinstance(file, str)][:1]
    return found


def _require_answer(url: str, ref: str) -> None:
    """Raise SourceMissing where nobody answers at the address; an answer of any kind is left to the hub's client."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the hub's own address
    try:
        urllib.request.urlopen(request, timeout=ANSWER_S).close()  # noqa: S310 - as above
    except urllib.error.HTTPError:
        return
    except OSError as error:
        raise _not_fetched(ref, url, error) from error


def _not_fetched(ref: str, url: str, error: object) -> SourceMissing:
    remedy = f"check the network to {url} (once fetched, weights stay in the cache, HF_HOME), or name a file of them"
    return SourceMissing("the weights cannot be fetched", file=ref, value=error, remedy=remedy)
