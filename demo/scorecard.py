"""The scorecard: all grades of a finished line, as aligned lines."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable
from pathlib import Path

from demo import ffcv_reads, finished_line, grades
from demo.grades import Grade
from demo.plant_list import PlantList, read_plants
from pipeline_lib.errors import BadData, SourceMissing

log = logging.getLogger(__name__)

DISK = ("line", ".dvc/cache", ".perennial", ".venv")


def grade_line(root: Path, folder: Path, *, without_votes: bool) -> list[Grade]:
    """Grade the line below `root` against the plant list in `folder`, in the order of the scorecard.

    without_votes: also curate a second time as if nobody had voted. Raises PipelineError when a table is absent.
    """
    plants, manifest = _plants(folder), finished_line.read_manifest(root)
    _check_same_images(plants, manifest, folder)
    graded = grades.grade_label_errors(manifest, plants, variant="with_votes")
    if without_votes:
        unvoted = finished_line.curate_without_votes(root)
        graded += grades.grade_label_errors(unvoted, plants, variant="without_votes")
    graded.append(grades.grade_labels_kept(manifest, plants))
    graded += grades.grade_duplicates(manifest, plants)
    graded.append(grades.grade_conflicts(manifest, plants))
    alone = finished_line.splits_alone(manifest, root)
    graded += grades.grade_leaks(manifest, plants, subjects=_subjects(folder), alone=alone)
    graded.append(grades.grade_unplanted(manifest, plants))
    graded += grades.grade_damage(manifest, plants)
    graded += grades.grade_oddities(manifest, plants)
    graded.append(_grade_positions(plants, root))
    graded += _grade_ffcv(root)
    predictions, classes = finished_line.read_predictions(root), finished_line.read_classes(root)
    return graded + grades.grade_accuracy(predictions, plants, classes)


def card(graded: Iterable[Grade]) -> list[str]:
    """One aligned line per grade that has a name."""
    named = [grade for grade in graded if grade.name]
    width = max(len(grade.name) for grade in named)
    return [f"  {grade.name:<{width}}  {grade.words}" for grade in named]


def disk_lines(root: Path) -> list[str]:
    """One line on where the disk went, in MB; what folders share through links is counted once."""
    use = finished_line.disk_use(root, DISK)
    return ["  " + ", ".join(f"{folder} {size / 1e6:,.0f} MB" for folder, size in use.items())]


def _grade_positions(plants: PlantList, root: Path) -> Grade:
    """Where the planted GPS positions can still be read, behind `download`."""
    found = finished_line.files_with(map(bytes.fromhex, plants.needles_hex), root)
    words = ", ".join(str(file) for file in found) or "in no file behind download"
    return Grade("gps_found", len(found), "GPS positions", words)


def _grade_ffcv(root: Path) -> list[Grade]:
    """The share of images that FFCV's own Loader shows as our loaders do; nothing where ffcv cannot be imported."""
    try:
        equal = ffcv_reads.compare(finished_line.betons(root))
    except (ImportError, OSError) as error:
        log.warning("FFCV's own Loader was not tried on the betons: %s", error)
        return []
    words = f"{equal.count} of {equal.of} images equal"
    return [
        Grade("ffcv_reads", equal.count / equal.of, "FFCV's own Loader reads our betons", words)
    ]


def _check_same_images(plants: PlantList, manifest: grades.Rows, folder: Path) -> None:
    absent = [member for member in plants.true_labels if grades.image_id(member) not in manifest]
    if absent:
        raise BadData(
            "the line below was run on other images than these",
            file=folder / "plants.json",
            value=f"{len(absent)} of {len(plants.true_labels)} are not in the manifest, {absent[0]} is the first",
            remedy="run `dvc repro` with the params.yaml of the demo (`git checkout params.yaml`), then score",
        )


def _plants(folder: Path) -> PlantList:
    path = folder / "plants.json"
    if not path.exists():
        raise SourceMissing(
            "there is no plant list to score against",
            file=path,
            remedy="run `python -m demo.plant`",
        )
    return read_plants(path)


def _subjects(folder: Path) -> dict[str, str]:
    with (folder / "subjects.csv").open(newline="", encoding="utf-8") as file:
        return {row["member"]: row["subject"] for row in csv.DictReader(file)}
