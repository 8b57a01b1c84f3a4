"""curate: decide on every picture, and write what was decided.

Reads members, images, features, votes and curation/overrides.csv; writes the manifest of all rows, the selections of
the kept ones, the classes, the review queue, the annotators' quality and the numbers of it all.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from pipeline_lib.atomic_files import atomic_folder, write_text
from pipeline_lib.csv_cells import frame_as_csv
from pipeline_lib.curate.decide import Curated, curate, labelled
from pipeline_lib.curate.inputs import Inputs, read_inputs
from pipeline_lib.curate.overrides import parse_overrides
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.stage import StageRun
from pipeline_lib.tables.features import FEATURES
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.review import REVIEW
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.tables.soft_labels import SOFT_LABELS
from pipeline_lib.tables.unlabelled import UNLABELLED
from pipeline_lib.tables.votes import VOTES

log = logging.getLogger(__name__)


def run(job: StageRun) -> None:
    """Run the stage."""
    curated = curate(read_inputs(job), job.params)
    _write(curated, job)
    _say(curated)


def check_overrides(text: str, file: Path, *, reads: Mapping[str, Path], params: CurateParams) -> None:
    """Check a text for curation/overrides.csv as the next run will. Raises ConfigError or BadData, listing its faults.

    reads: the stage's artifacts by role. file: is named in messages only.
    """
    found = Inputs(
        members=MEMBERS.read(reads["members"]),
        images=IMAGES.read(reads["images"]),
        votes=VOTES.read(reads["votes"]),
        features=FEATURES.empty(),
        views=lambda _: {},
        overrides=parse_overrides(text, file),
        class_words={},
        overrides_file=file,
        manifest_file=file,
    )
    labelled(found, params)


def _write(curated: Curated, job: StageRun) -> None:
    MANIFEST.write(curated.manifest, job.writes["manifest"])
    REVIEW.write(curated.review, job.writes["review"])
    SOFT_LABELS.write(curated.labels.soft, job.writes["soft_labels"])
    with atomic_folder(job.writes["selection"]) as folder:
        for split, rows in curated.selection.items():
            SELECTION.write(rows, folder / f"{split}.parquet")
        UNLABELLED.write(curated.unlabelled, folder / "unlabelled.parquet")
        SOFT_LABELS.write(curated.targets, folder / "soft_labels.parquet")
    csv = {"classes": curated.classes, "balance": curated.balance}
    csv |= {"annotators": curated.labels.annotators, "stopping": curated.labels.stopping}
    for role, table in csv.items():
        write_text(job.writes[role], frame_as_csv(table))
    write_text(job.writes["profile"], json.dumps(curated.profile, ensure_ascii=False) + "\n")
    write_text(job.writes["curation"], json.dumps(curated.figures, indent=1, ensure_ascii=False) + "\n")


def _say(curated: Curated) -> None:
    figures = curated.figures
    balance, splits = figures["ledger"], figures["splits"]
    parts = "{kept} kept, {quarantined} quarantined, {removed} removed".format(**balance)
    log.info("%d found = %s", balance["discovered"], parts)
    log.info("train %d, val %d, test %d; %d classes", *splits.values(), figures["classes"]["kept"])
    if figures["classes"]["absent"]:
        log.warning("%d classes of the list have no picture left", figures["classes"]["absent"])
    if figures["overrides"]["overruled"]:
        log.warning("%d pictures with a keep override are left out all the same", figures["overrides"]["overruled"])
    if figures["votes"]["of_unknown_pictures"]:
        log.warning("%d votes name pictures that no source holds", figures["votes"]["of_unknown_pictures"])
    if figures["duplicates"]["buckets_cut"]:
        log.warning(
            "%d very large groups of similar pictures were not compared in full", figures["duplicates"]["buckets_cut"]
        )
