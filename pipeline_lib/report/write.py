"""Write the folder of a report: its first page, the pages behind it, their images, the table of mistakes, the card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pipeline_lib.files.csv_cells import frame_as_csv
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.pixels import PixelRules
from pipeline_lib.pixels.pixelate import pixelation_of
from pipeline_lib.registry.report_places import REPORT
from pipeline_lib.report.content import Content
from pipeline_lib.report.explained import evidence_files
from pipeline_lib.report.render import STYLE, page_style, render_card, render_pages, render_report
from pipeline_lib.report.shift import write_examples
from pipeline_lib.report.thumbnails import known_thumbnails, thumbnail_files
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS

CARD, TABLE, SLICES = "model-card.md", "mistakes.csv", "slices.csv"
PAGES, THUMBNAILS = "pages", "images"
PLACE = ["image_id", "container", "offset_bytes", "size_bytes", "sha256"]


def write_report(
    content: Content, folder: Path, *, files: Mapping[str, Path], reports: Path, workers: int
) -> None:
    """Fill `folder`. files: the artifacts by role. reports: the folder of all reports, whose images are shared.

    Raises ConfigError when images are to be pixelated by a detector that is no longer the pinned one.
    """
    # What `inspect` refused is not decoded: only there a decoder is guarded against files made to harm it.
    refusals = IMAGES.read(files["images"], ["image_id", "refusal"])
    refused = set(refusals.loc[refusals["refusal"].notna(), "image_id"])
    pixels = json.loads((files["betons"] / "pixels.json").read_text(encoding="utf-8"))
    rules = PixelRules.model_validate(pixels["pixel_rules"])
    pixelation = pixelation_of(pixels)
    members = MEMBERS.read(files["members"], PLACE)
    known = known_thumbnails(reports)
    images = thumbnail_files(
        [image_id for image_id in content.image_ids() if image_id not in refused],
        members=members,
        shards=files["shards"],
        rules=rules,
        pixelation=pixelation,
        folder=folder / THUMBNAILS,
        known=known,
        workers=workers,
    )
    examples = write_examples(content.shift, images, folder / THUMBNAILS)
    evidence = evidence_files(
        content.explained,
        side_px=read_model_file(files["export"]).side_px,
        members=members,
        shards=files["shards"],
        rules=rules,
        pixelation=pixelation,
        folder=folder / THUMBNAILS,
        known=known,
    )
    (folder / PAGES).mkdir()
    (folder / PAGES / STYLE).write_text(page_style(), encoding="utf-8")
    for name, text in render_pages(content, images, examples, evidence):
        (folder / PAGES / name).write_text(text, encoding="utf-8")
    (folder / REPORT).write_text(render_report(content, images), encoding="utf-8")
    (folder / CARD).write_text(render_card(content), encoding="utf-8")
    (folder / TABLE).write_text(frame_as_csv(content.table), encoding="utf-8")
    if content.groups.columns:
        (folder / SLICES).write_text(frame_as_csv(content.groups.table), encoding="utf-8")
