"""The page of a comparison: the images that flipped or have another label, and the tables of what differs.

Same style and policy as the report. The page lies in a folder of its own, with its thumbnails, whose files are shared with
those of reports; `perennial report --erase` covers it too.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from pipeline_lib.compare import words
from pipeline_lib.compare.compared import LOST, WON, Compared
from pipeline_lib.compare.sides import Side
from pipeline_lib.files.atomic import atomic_folder, remove_tree
from pipeline_lib.history.page import PAGE as HISTORY
from pipeline_lib.history.page import nearby
from pipeline_lib.pixels import PixelRules
from pipeline_lib.pixels.pixelate import pixelation_of
from pipeline_lib.registry import Registry
from pipeline_lib.registry.report_places import (
    COMPARISON,
    COMPARISONS,
    comparison_of,
    report_of,
    version_name,
)
from pipeline_lib.report.copies import safe_name
from pipeline_lib.report.galleries import MOST, Card, Gallery, in_percent
from pipeline_lib.report.render import INDENTED, environment, inline_style
from pipeline_lib.report.thumbnails import Thumbnail, known_thumbnails, thumbnail_files
from pipeline_lib.sources.paths_in_source import path_in_source
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS

THUMBNAILS = "images"
PLACE = ["image_id", "container", "offset_bytes", "size_bytes", "sha256"]


def write_comparison(found: Compared, registry: Registry, *, keep: int, workers: int) -> Path:
    """Write the page and return its path. keep: how many comparisons stay, the newest."""
    comparisons = registry.state_folder / COMPARISONS
    target = (comparisons / comparison_of(_slug(found.a), _slug(found.b))).parent
    comparisons.mkdir(parents=True, exist_ok=True)
    galleries = {
        LOST: _flipped(found, LOST),
        WON: _flipped(found, WON),
        "labels": _relabelled(found),
    }
    with atomic_folder(target) as partial:
        shown = [card.image_id for gallery in galleries.values() for card in gallery.cards]
        images, lost = _thumbnails(shown, partial / THUMBNAILS, found.b, registry, workers)
        text = _render(found, galleries, images, lost, registry.state_folder / "reports")
        (partial / COMPARISON).write_text(text, encoding="utf-8")
    folders = sorted(comparisons.iterdir(), key=lambda one: (one.stat().st_mtime_ns, one.name))
    for folder in folders[: max(0, len(folders) - keep)]:
        if folder != target:
            remove_tree(folder)
    return target / COMPARISON


def _render(
    found: Compared,
    galleries: dict[str, Gallery],
    images: dict[str, Thumbnail],
    lost: tuple[str, ...],
    reports: Path,
) -> str:
    def report(side: Side) -> str:
        place = report_of(side.key) if side.key else ""
        return f"../../reports/{place}" if place and (reports / place).exists() else ""

    pages = environment().overlay()
    pages.filters = {**pages.filters, "nearby": nearby}
    text = pages.get_template("compare.html.jinja").render(
        found=found,
        galleries=galleries,
        images=images,
        img=f"{THUMBNAILS}/",
        lost=lost,
        report_a=report(found.a),
        report_b=report(found.b),
        history=f"../../reports/{HISTORY}" if (reports / HISTORY).exists() else "",
        accuracy=words.accuracy_lines(found),
        data=words.data_lines(found),
        style=inline_style("style.css"),
        flips=(LOST, WON),
    )
    return INDENTED.sub("\n", text)


def _flipped(found: Compared, flip: str) -> Gallery:
    rows = found.flips[found.flips["flip"] == flip]
    cards = [
        Card(
            row["image_id"],
            row["sha256"],
            row["path"],
            row["true_name"],
            "",
            f"A {row['a_name']} {in_percent(row['p_a'])}\nB {row['b_name']} {in_percent(row['p_b'])}",
            doubt="label doubted" if row["label"] == "doubted" else "",
        )
        for row in rows.head(MOST).to_dict("records")
    ]
    return Gallery(tuple(cards), len(rows))


def _relabelled(found: Compared) -> Gallery:
    rows = found.data.labels
    names = found.names
    cards = [
        Card(
            row["image_id"],
            row["sha256"],
            path_in_source(row["image_id"], row["source"]),
            names.get(row["before"], row["before"]),
            names.get(row["now"], row["now"]) or "(no class)",
            f"by {row['by']}",
        )
        for row in rows.head(MOST).to_dict("records")
    ]
    return Gallery(tuple(cards), len(rows))


def _thumbnails(
    image_ids: list[str], folder: Path, side: Side, registry: Registry, workers: int
) -> tuple[dict[str, Thumbnail], tuple[str, ...]]:
    """image_id -> thumbnail out of B's data, and the paths of what DVC's cache has lost of it."""
    cache, closure = registry.cache, side.closure
    outs = [closure.out(role) for role in ("members", "images", "shards", "betons")]
    lost = tuple(path for path, md5 in outs if cache.find(md5) is None)
    folder.mkdir(parents=True)
    if lost or not image_ids:
        return {}, lost
    images = IMAGES.read(cache.object(closure.md5_of("images")), ["image_id", "refusal"])
    refused = set(images.loc[images["refusal"].notna(), "image_id"])
    members = MEMBERS.read(cache.object(closure.md5_of("members")), PLACE)
    described = cache.object(cache.listing(closure.md5_of("betons"))["pixels.json"])
    pixels = json.loads(described.read_text(encoding="utf-8"))
    containers = {
        name: found
        for name, md5 in cache.listing(closure.md5_of("shards")).items()
        if (found := cache.find(md5)) is not None
    }
    there = members[members["container"].isin(list(containers))]
    with tempfile.TemporaryDirectory() as shards:
        for name, found in containers.items():
            (Path(shards) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(shards) / name).symlink_to(found.resolve())
        made = thumbnail_files(
            [one for one in image_ids if one not in refused],
            members=there,
            shards=Path(shards),
            rules=PixelRules.model_validate(pixels["pixel_rules"]),
            pixelation=pixelation_of(pixels),
            folder=folder,
            known={
                **known_thumbnails(registry.state_folder / COMPARISONS),
                **known_thumbnails(registry.state_folder / "reports"),
            },
            workers=workers,
        )
    return made, () if len(there) == len(members) else (closure.out("shards")[0],)


def _slug(side: Side) -> str:
    """A name for a folder."""
    if side.version:
        return version_name(side.version)
    return safe_name(side.ref.rpartition("/")[2], otherwise="model")
