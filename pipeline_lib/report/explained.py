"""The page of explanations: some test images beside maps of the evidence for their answer and label, and what is like them.

`evaluate` says where the evidence lies; here it is laid over images that people may see: what `convert.pixelate` hides
is hidden before, in the same boxes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline_lib.files.atomic import link_or_copy
from pipeline_lib.pixels import PixelRules, centre_square
from pipeline_lib.pixels.pixelate import Pixelation
from pipeline_lib.report.answers import doubt_of
from pipeline_lib.report.galleries import Card
from pipeline_lib.report.overlay import overlay, shown
from pipeline_lib.report.pages import answer_card
from pipeline_lib.report.thumbnails import KEY_CHARACTERS, TINY_PX, Thumbnail, visible_images
from pipeline_lib.sources.paths_in_source import path_in_source

EXPLAINED = "explanations.html"
DEPENDS = (
    0.3  # from this rank correlation on, a map shows the network rather than what it has learnt
)
LEAST_PX, MOST_PX = 160, 224  # side of an image on the page
QUALITY = 60  # of WebP, 0..100
Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Explained:
    """One image. for_answer, for_label: evidence in cells, hw; None for the label of a right answer.

    near: training images, the most like it first.
    """

    card: Card
    answer: str
    for_answer: Map
    for_label: Map | None
    near: tuple[Card, ...]

    @property
    def is_mistake(self) -> bool:
        """Whether the answer is another class than the label."""
        return self.for_label is not None


@dataclass(frozen=True)
class Explanations:
    """What the page shows. correlation: with maps of fresh weights, the mean of n_checked images."""

    mistakes: tuple[Explained, ...]
    right: tuple[Explained, ...]
    layer: str
    cells: tuple[int, int]
    correlation: float
    n_checked: int

    @property
    def all(self) -> tuple[Explained, ...]:
        """Those of the page, in its order."""
        return self.mistakes + self.right

    @property
    def is_learnt(self) -> bool:
        """Whether the maps depend on what was learnt."""
        return abs(self.correlation) < DEPENDS

    def image_ids(self) -> list[str]:
        """The images beside the maps: those that are like them."""
        return [near.image_id for one in self.all for near in one.near]


def explanations(
    table: pd.DataFrame, answers: pd.DataFrame, manifest: pd.DataFrame, names: Mapping[str, str]
) -> Explanations | None:
    """What the page shows; None where nothing is explained. answers: as `read_answers` makes them."""
    if table.empty:
        return None
    said = answers.set_index("image_id", drop=False)
    known = manifest.set_index("image_id", drop=False)
    rows: list[dict[Any, Any]] = table.sort_values("place").to_dict("records")
    found = [_explained(row, said.loc[row["image_id"]].to_dict(), known, names) for row in rows]
    checked = table["rank_correlation"].dropna()
    return Explanations(
        mistakes=tuple(one for one in found if one.is_mistake),
        right=tuple(one for one in found if not one.is_mistake),
        layer=rows[0]["layer"],
        cells=(rows[0]["width"], rows[0]["height"]),
        correlation=float(checked.mean()),
        n_checked=len(checked),
    )


def _explained(
    row: Mapping[Any, Any],
    answer: Mapping[Any, Any],
    manifest: pd.DataFrame,
    names: Mapping[str, str],
) -> Explained:
    shape = row["height"], row["width"]
    near = [
        _near(manifest.loc[image_id].to_dict(), likeness, names)
        for image_id, likeness in zip(row["nearest"], row["likeness"], strict=True)
        if image_id in manifest.index  # an erased one is gone from there
    ]
    for_label = None if answer["correct"] else np.reshape(row["for_label"], shape)
    return Explained(
        card=answer_card(answer),
        answer=answer["predicted_name"],
        for_answer=np.reshape(row["for_answer"], shape),
        for_label=for_label,
        near=tuple(near),
    )


def where(evidence_hw: Map) -> str:
    """In words where most of the evidence lies, of nine parts of the image: `41 % of it lies in the upper left`."""
    if not evidence_hw.any():
        return "nothing speaks for it"
    height, width = evidence_hw.shape
    shares = (_thirds(height) @ evidence_hw @ _thirds(width).T / evidence_hw.sum()).round(6)
    y, x = np.unravel_index(shares.argmax(), shares.shape)
    place = f"{('upper ', '', 'lower ')[y]}{('left', 'middle', 'right')[x]}"
    return f"{100 * shares.max():.0f} % of it lies in the {place}"


def _thirds(n: int) -> Map:
    """[3, n]: the share of each of n cells that lies in each third."""
    ends = np.arange(1, 4)[:, None] * n / 3
    cells = np.arange(n)
    inside = np.minimum(cells + 1, ends) - np.maximum(cells, ends - n / 3)
    return inside.clip(0, 1).astype(np.float32)


def _near(row: Mapping[Any, Any], likeness: float, names: Mapping[str, str]) -> Card:
    """The card of a training image, with what curation takes it for where its label is doubted."""
    doubt = doubt_of(row, names)
    return Card(
        row["image_id"],
        row["sha256"],
        path_in_source(row["image_id"], row["source"]),
        names.get(row["class_id"], row["class_id"]),
        "",
        f"likeness {likeness:.2f}",
        f"label doubted: looks like {doubt}" if doubt else "",
    )


@dataclass(frozen=True)
class EvidenceFiles:
    """Files in the report's folder of images: what the network sees, and the maps over it. label: None if it is right."""

    seen: Thumbnail
    answer: Thumbnail
    label: Thumbnail | None


def evidence_files(
    found: Explanations | None,
    *,
    side_px: int,
    members: pd.DataFrame,
    shards: Path,
    rules: PixelRules,
    pixelation: Pixelation | None,
    folder: Path,
    known: Mapping[str, Path],
) -> dict[str, EvidenceFiles]:
    """Write the images of the page into `folder`; image_id -> its files. side_px: of the network's images.

    known: as for thumbnails. What cannot be decoded is not in the result.
    """
    if found is None:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {one.card.image_id: one for one in found.all}
    about = f"{rules.model_dump_json()}|{pixelation}|{side_px}"
    made: dict[str, EvidenceFiles] = {}
    pixels_of = visible_images(
        wanted, members=members, shards=shards, rules=rules, pixelation=pixelation
    )
    for row, pixels_HWC in pixels_of:
        if pixels_HWC is None:
            continue
        square_HWC = centre_square(pixels_HWC, side_px=side_px)
        # Named by content, as all images: erasure finds them, and other reports share them.
        sheet = _Sheet(square_HWC, row["sha256"][:KEY_CHARACTERS], about, folder, known)
        one = wanted[row["image_id"]]
        made[row["image_id"]] = EvidenceFiles(
            sheet.save(None),
            sheet.save(one.for_answer),
            None if one.for_label is None else sheet.save(one.for_label),
        )
    return made


@dataclass(frozen=True)
class _Sheet:
    """One image, of which some are saved. key: of its bytes; about: how its pixels were made."""

    square_HWC: npt.NDArray[np.uint8]
    key: str
    about: str
    folder: Path
    known: Mapping[str, Path]

    def save(self, evidence_hw: Map | None) -> Thumbnail:
        """Save it with a map over it; None: as it is."""
        tiny = len(self.square_HWC) <= TINY_PX
        over = b"" if evidence_hw is None else np.asarray(evidence_hw, np.float32).tobytes()
        mark = hashlib.sha256(self.about.encode() + over).hexdigest()[:10]
        file = self.folder / f"{self.key}-{mark}-{'seen' if evidence_hw is None else 'why'}.webp"
        if file.name in self.known and not file.exists():
            link_or_copy(self.known[file.name], file)
        if not file.exists():
            image = shown(self.square_HWC, LEAST_PX)
            if evidence_hw is not None:
                image = overlay(self.square_HWC, evidence_hw, LEAST_PX)
            image.thumbnail((MOST_PX, MOST_PX))
            as_it_is = tiny and evidence_hw is None
            image.save(file, "WEBP", lossless=as_it_is, quality=100 if as_it_is else QUALITY)
        return Thumbnail(file.name, tiny)
