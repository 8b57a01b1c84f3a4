"""curate: decide on every picture, and write what was decided.

Reads members, images, features, votes and curation/overrides.csv; writes the manifest of all rows, the selections of
the kept ones, the classes, the review queue, the annotators' quality and the numbers of it all.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from pipeline_lib.curate.class_words import parse_class_words
from pipeline_lib.curate.decide import Curated, Found, curate, labelled
from pipeline_lib.curate.overrides import parse_overrides
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.vectors import axes_by_kind, cut
from pipeline_lib.errors import ConfigError
from pipeline_lib.files.atomic import atomic_folder, write_text
from pipeline_lib.files.csv_cells import frame_as_csv
from pipeline_lib.harness.stage import StageRun
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
OVERRIDES, CLASS_WORDS = Path("curation/overrides.csv"), Path("curation/classes.csv")


def run(job: StageRun[CurateParams]) -> None:
    """Run the stage."""
    curated = curate(read_found(job), job.params)
    _write(curated, job)
    _say(curated)


def read_found(job: StageRun[CurateParams]) -> Found:
    """Read what the stage decides on. Raises ConfigError for a malformed file of people's."""
    file, words_file = job.checkout / OVERRIDES, job.checkout / CLASS_WORDS
    return Found(
        members=MEMBERS.read(job.reads["members"]),
        images=IMAGES.read(job.reads["images"]),
        votes=VOTES.read(job.reads["votes"]),
        features=_features(job.reads["features"], job.params),
        views=partial(_views, job.reads["features"]),
        overrides=parse_overrides(_text(file), file),
        class_words=parse_class_words(_text(words_file), words_file),
        overrides_file=OVERRIDES,
        manifest_file=job.writes["manifest"].relative_to(job.checkout),
    )


def check_overrides(text: str, file: Path, *, reads: Mapping[str, Path], params: CurateParams) -> None:
    """Check a text for curation/overrides.csv as the next run will. Raises ConfigError or BadData, listing its faults.

    reads: the stage's artifacts by role. file: is named in messages only.
    """
    found = Found(
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


def read_overrides(checkout: Path) -> str:
    """The text of curation/overrides.csv. Raises ConfigError."""
    return _text(checkout / OVERRIDES)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        remedy = f"restore it with `git checkout curation/{file.name}`; its header line alone says nothing"
        raise ConfigError("the file is absent", file=file, remedy=remedy) from None
    except UnicodeDecodeError as error:
        raise ConfigError("not UTF-8 text", file=file, value=str(error), remedy="save it as UTF-8") from error


def _features(folder: Path, params: CurateParams) -> pd.DataFrame:
    """The features of all shards with shortened vectors, one shard's full ones in memory at a time."""
    paths = sorted(folder.glob("*.parquet"))
    described = ["image_id", "kind", "thumbnail", "vector"]
    each = math.ceil(params.cl_train_rows / max(len(paths), 1))
    sample = [FEATURES.read(path, ["kind", "vector"]).groupby("kind").head(each) for path in paths]
    axes = axes_by_kind(pd.concat([FEATURES.empty(), *sample]), seed=params.seed)
    shortened = (cut(FEATURES.read(path, described), axes) for path in paths)
    return pd.concat([FEATURES.empty()[described], *shortened], ignore_index=True)


def _views(folder: Path, image_ids: pd.Index) -> dict[str, bytes]:
    """The views of these pictures, one shard's in memory at a time; all of a million would be 5 GB."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.parquet")):
        if FEATURES.read(path, ["image_id"])["image_id"].isin(image_ids).any():
            views = FEATURES.read(path, ["image_id", "view"])
            wanted = views[views["image_id"].isin(image_ids)]
            found |= dict(zip(wanted["image_id"], wanted["view"], strict=True))
    return found


def _write(curated: Curated, job: StageRun[CurateParams]) -> None:
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
