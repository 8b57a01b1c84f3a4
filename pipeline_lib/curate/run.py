"""curate: decide on every image, and write what was decided.

Reads members, images, features, votes and curation/overrides.csv; writes the manifest of all rows, the selections of
the kept ones, the classes, the review queue, the annotators' quality and summary statistics.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from pipeline_lib.curate.decide import Curated, curate, label_and_split
from pipeline_lib.curate.inputs import Inputs, read_inputs
from pipeline_lib.curate.overrides import parse_overrides
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.files.atomic import atomic_folder, write_text
from pipeline_lib.files.csv_cells import frame_as_csv
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.sources.source import read_sources
from pipeline_lib.tables.extra_tests import EXTRA_TESTS
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
EXTRA_FILE = "extra.parquet"
UNLABELLED_FILE = "unlabelled.parquet"
# The soft labels that training may learn: a part of line/curate/soft_labels.parquet, which holds all that were voted.
VOTE_TARGETS_FILE = "soft_labels.parquet"


def run(job: StageRun[CurateParams]) -> None:
    """Run the stage."""
    inputs = read_inputs(job)
    curated = curate(inputs, job.params)
    _write(curated, job)
    _log_summary(curated)


def check_overrides(
    text: str, file: Path, *, reads: Mapping[str, Path], params: CurateParams
) -> None:
    """Check a text for curation/overrides.csv as the next run will. Raises ConfigError or BadData, listing its faults.

    reads: the stage's artifacts by role. file: is named in messages only.
    """
    inputs = Inputs(
        members=MEMBERS.read(reads["members"]),
        images=IMAGES.read(reads["images"]),
        votes=VOTES.read(reads["votes"]),
        features=FEATURES.empty(),  # labels and splits need none, and reading them takes longest
        views=lambda _: {},
        overrides=parse_overrides(text, file),
        class_words={},
        overrides_file=file,
        manifest_file=file,
        sources=read_sources(reads["sources"]),
    )
    label_and_split(inputs, params)


def _write(curated: Curated, job: StageRun[CurateParams]) -> None:
    # For people, reports and lineage: every row.
    MANIFEST.write(curated.manifest, job.writes["manifest"])
    REVIEW.write(curated.review, job.writes["review"])
    SOFT_LABELS.write(curated.labels.soft, job.writes["soft_labels"])

    # For training, in one folder: it is trained again when any of these files changes.
    with atomic_folder(job.writes["selection"]) as folder:
        for split, rows in curated.selection.items():
            SELECTION.write(rows, folder / f"{split}.parquet")
        EXTRA_TESTS.write(curated.extra, folder / EXTRA_FILE)
        UNLABELLED.write(curated.unlabelled, folder / UNLABELLED_FILE)
        SOFT_LABELS.write(curated.targets, folder / VOTE_TARGETS_FILE)

    tables = {
        "classes": curated.classes,
        "balance": curated.balance,
        "annotators": curated.labels.annotators,
        "stopping": curated.labels.stopping,
    }
    for role, table in tables.items():
        write_text(job.writes[role], frame_as_csv(table))
    profile = json.dumps(curated.profile, ensure_ascii=False)
    statistics = json.dumps(curated.statistics, indent=1, ensure_ascii=False)
    write_text(job.writes["profile"], profile + "\n")
    write_text(job.writes["curation"], statistics + "\n")


def _log_summary(curated: Curated) -> None:
    statistics = curated.statistics
    balance = statistics["ledger"]
    splits = statistics["splits"]
    parts = "{kept} kept, {quarantined} quarantined, {removed} removed".format(**balance)
    log.info("%d found = %s", balance["discovered"], parts)
    log.info(
        "train %d, val %d, test %d; %d classes", *splits.values(), statistics["classes"]["kept"]
    )

    for name, counts in statistics.get("extra_tests", {}).items():
        what = "extra test set %s: %d images of %d classes; training images left out because it repeats them: %d"
        log.info(what, name, counts["kept"], counts["classes"], counts["taken_from_training"])

    if unjudged := statistics["label_issues"].get("unjudged"):
        log.warning("%s", unjudged)

    # Each of these is worth a person's look, and none of them an end.
    warnings = {
        "%d classes of the list have no image left": statistics["classes"]["absent"],
        "%d images with a keep override are left out all the same": statistics["overrides"][
            "overruled"
        ],
        "%d votes name images that no source holds": statistics["votes"]["of_unknown_pictures"],
        "%d very large groups of similar images were not compared in full": statistics[
            "duplicates"
        ]["buckets_cut"],
    }
    for message, n in warnings.items():
        if n:
            log.warning(message, n)
