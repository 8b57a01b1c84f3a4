"""Write explanations as a folder: index.html in the look of the report, and PNG files beside it. No script, no request."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from pipeline_lib.errors import UsageError
from pipeline_lib.explain.explanation import DEPENDS, Explanation, TrainedModel
from pipeline_lib.explain.neighbours import Neighbour, TrainingImages
from pipeline_lib.files.atomic import atomic_folder
from pipeline_lib.networks.class_map import FeatureMaps
from pipeline_lib.pixels.pixelate import pixelation_of
from pipeline_lib.report.copies import safe_name
from pipeline_lib.report.galleries import in_percent
from pipeline_lib.report.overlay import LEAST_PX, overlay, shown, strip
from pipeline_lib.report.render import page_style
from pipeline_lib.safe_text import shown as shown_text

PAGE = "index.html"
OF_THIS_PAGE = """
.why { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(260px, 100%), 1fr)); gap: 18px; align-items: start; }
.why figure img { image-rendering: auto; } .why figure img.tiny, .strip-of-maps img.tiny { image-rendering: pixelated; }
.strip-of-maps { max-width: 620px; margin-bottom: 10px; } .strip-of-maps img { aspect-ratio: auto; border: 0; }
"""


@dataclass(frozen=True)
class _Near:
    file: str
    about: Neighbour
    is_itself: bool


@dataclass(frozen=True)
class _Strip:
    file: str
    maps: FeatureMaps


@dataclass(frozen=True)
class _Entry:
    """What the page shows of one image, with the names of its files."""

    name: str
    found: Explanation
    is_tiny: bool
    seen: str
    overlay: str
    features: tuple[_Strip, ...]
    near: tuple[_Near, ...]


def check_target(folder: Path) -> Path:
    """The folder to write, absolute. Raises UsageError when it holds anything."""
    folder = folder.expanduser().resolve()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError("not a new or empty folder", file=folder, remedy="name another folder")
    return folder


def write_explanations(
    found: Sequence[Explanation],
    folder: Path,
    *,
    name: str,
    model: TrainedModel,
    training: TrainingImages | None,
    no_neighbours: str = "",
) -> Path:
    """Fill a new folder and return its page. name: of the model, for its title. no_neighbours: why none are shown."""
    style = page_style() + OF_THIS_PAGE
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: shown_text(value) if type(value) is str else value,
    )
    environment.filters["sure"] = in_percent
    with atomic_folder(folder) as partial:
        entries = [
            _entry(number, one, partial, model, training) for number, one in enumerate(found, 1)
        ]
        text = environment.get_template("explain.html.jinja").render(
            name=name,
            network=model.about.network,
            pages=entries,
            depends=DEPENDS,
            no_neighbours=no_neighbours,
            style=Markup(style),  # noqa: S704 - our own files
            digest=f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}",
        )
        (partial / PAGE).write_text(text, encoding="utf-8")
    return folder / PAGE


def _entry(
    number: int,
    found: Explanation,
    folder: Path,
    model: TrainedModel,
    training: TrainingImages | None,
) -> _Entry:
    stem = f"{number:02d}-{safe_name(found.file.stem, otherwise='image')}"
    class_name = safe_name(found.class_of.name, otherwise="class")

    def save(image: Image.Image, what: str) -> str:
        image.save(folder / f"{stem}-{what}.png", optimize=True)
        return f"{stem}-{what}.png"

    strips = [
        _Strip(save(strip(maps.maps_Chw), f"layer-{n}"), maps)
        for n, maps in enumerate(found.map.features, 1)
    ]
    near = []
    if training and found.near:
        pixelation = pixelation_of(model.about.pixels)
        itself = hashlib.sha256(found.file.read_bytes()).hexdigest()
        for n, one in enumerate(found.near, 1):
            image = training.thumbnail(one, model.sight.rules, pixelation)
            near.append(_Near(save(image, f"near-{n}"), one, one.sha256 == itself))
    return _Entry(
        name=found.file.name,
        found=found,
        is_tiny=min(found.seen_HWC.shape[:2]) < LEAST_PX // 2,
        seen=save(shown(found.seen_HWC), "seen"),
        overlay=save(overlay(found.seen_HWC, found.map.evidence_hw), f"{class_name}-overlay"),
        features=tuple(strips),
        near=tuple(near),
    )
