"""`make demo-photographs`: what does the line find among images like yours?

    python -m demo.photographs SOURCE [--count 1000] [--seed 0] [--layout NAME] [--labels FILE]

Plants wrong labels, copies, damage and pages of text among a copy of some of the images of a folder or archive, runs
the whole line on them with the parameters that `perennial init` chooses, and prints what was found and what was missed.
The source is only read, and nothing of this repository is touched but demo/out/photographs, which holds the last trial.
The figures inform: the exit code is 0 whatever they are. The same trial again continues where it was.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from demo import finished_line
from demo.grades import Grade, Rows
from demo.photographs import grades
from demo.photographs.card import Features, scorecard, weak_points
from demo.photographs.grades import Finding, Part, image_id
from demo.photographs.planting import IMAGES, Planted, plant, read_planted, trial_key
from demo.photographs.source import COMMAND, FEWEST, Drawn, check_room, find_images
from demo.photographs.trial_line import copy_code, make_line, run_line
from demo.verdict import LATEST_REPORT
from flows.cli.parser import CTRL_C
from flows.cli.project import find_project
from pipeline_lib.errors import Interrupted, PipelineError, SourceMissing, UsageError
from pipeline_lib.files.atomic import private_folder, remove_tree, write_text
from pipeline_lib.files.process_lock import process_lock
from pipeline_lib.harness.line import read_line
from pipeline_lib.harness.terminal import clearing
from pipeline_lib.safe_text import log_to_stderr, shown_on_stdout
from pipeline_lib.settings import Settings, load_settings
from pipeline_lib.sources.layout import LAYOUTS
from pipeline_lib.survey import SourceAnswer
from pipeline_lib.tables.review import REVIEW
from tasks.process_group import kill_recorded

FOLDER = Path("demo/out/photographs")
COUNT = 1000


def try_on(source: str, answer: SourceAnswer, *, count: int, seed: int) -> None:
    """Plant, run and grade, or continue with the same trial. Raises PipelineError."""
    from filelock import Timeout

    root = find_project(Path.cwd())
    folder, settings = root / FOLDER, load_settings(root)
    uri = source if "://" in source else str(Path(source).expanduser().resolve())
    _refuse_own_folder(uri, folder)
    private_folder(folder)
    try:
        with process_lock(folder / "lock").acquire(timeout=0):
            kill_recorded(folder / "running")  # of a trial that was killed
            drawn = find_images(uri, settings, root=root, answer=answer, count=count, seed=seed)
            planted = _prepare(drawn, folder, settings, root=root, seed=seed)
            run_line(folder / "line", record=folder / "running/dvc.json")
            print()
            _report(planted, folder)
    except Timeout as error:
        what, remedy = "another trial is running", "wait until it is done, or stop it"
        raise Interrupted(what, file=folder, remedy=remedy) from error


def _prepare(drawn: Drawn, folder: Path, settings: Settings, *, root: Path, seed: int) -> Planted:
    """The planted images and their line, made anew where the last trial was another one."""
    planted, line = read_planted(folder / "planted"), folder / "line"
    if planted is None or planted.key != trial_key(drawn, seed=seed):
        if planted:
            print(f"The last trial, of {planted.uri} with seed {planted.seed}, makes room.")
        for name in ("score.json", "line", "planted"):
            remove_tree(folder / name)
        check_room(drawn, folder, shutil.disk_usage(folder).free)
        print(
            f"{drawn.looked.uri}: {len(drawn.images)} of {drawn.n_images} images are copied to {folder}"
        )
        planted = plant(drawn, settings, folder=folder / "planted", seed=seed)
    if line.exists():
        copy_code(root, line)
        print(f"The trial in {folder} continues, with the parameters of {line}/params.yaml.")
    else:
        images = folder / "planted" / IMAGES
        said = make_line(
            line, repository=root, images=images, layout=planted.layout, settings=settings
        )
        print(f"\n{said}")
    print(flush=True)
    return planted


def _report(planted: Planted, folder: Path) -> None:
    """Print the scorecard and write score.json."""
    line = folder / "line"
    manifest = finished_line.read_manifest(line)
    graded, findings = _grade(planted, line, manifest)
    figures = {grade.key: grade.value for grade in graded}
    classes = Counter(file.truth for file in planted.files if file.truth)
    weak = list(
        weak_points(figures, _features(line, manifest), smallest_class=min(classes.values()))
    )
    report = os.path.relpath(load_settings(line).state_folder(line) / LATEST_REPORT)
    for text in scorecard(
        planted, graded, findings, folder=Path(os.path.relpath(folder / "planted"))
    ):
        print(text)
    if weak:
        print("\nWhere these figures are weak", *(f"  {text}" for text in weak), sep="\n")
    print(f"\nReport   {report}\nFigures  {os.path.relpath(folder / 'score.json')}")
    missed = [
        {"what": one.what, "member": one.file.member, "yours": one.file.yours, "words": one.words}
        for one in findings
    ]
    content = {
        "source": planted.uri,
        "seed": planted.seed,
        **figures,
        "missed": missed,
        "weak": weak,
    }
    write_text(folder / "score.json", json.dumps(content, indent=1) + "\n")


def _grade(planted: Planted, line: Path, manifest: Rows) -> tuple[list[Grade], list[Finding]]:
    """All grades in the order of the scorecard, and all findings."""
    questions = REVIEW.read(read_line(line).path("review"))
    review: list[dict[Any, Any]] = questions.to_dict("records")
    published = {image_id(file.member): file.split for file in planted.files if file.split}
    alone = finished_line.splits_alone(manifest, line, published=published)
    predictions = finished_line.read_predictions(line)
    parts: Sequence[Part] = (
        grades.grade_labels(manifest, review, planted),
        grades.grade_copies(manifest, review, planted),
        grades.grade_leaks(manifest, planted, alone),
        grades.grade_damage(manifest, planted),
        grades.grade_pages(manifest, review, planted),
        grades.grade_untouched(manifest, planted),
        grades.grade_accuracy(predictions, planted, finished_line.read_classes(line)),
    )
    return [one for part in parts for one in part.grades], [
        one for part in parts for one in part.findings
    ]


def _features(line: Path, manifest: Rows) -> Features:
    """What most of the images were compared by."""
    curation = json.loads(read_line(line).path("curation").read_text(encoding="utf-8"))
    sides = [min(row["width_px"], row["height_px"]) for row in manifest.values() if row["width_px"]]
    return Features(
        by_gradients=Counter(curation["features"]).most_common(1)[0][0] == "hog",
        short_side_px=round(median(sides)),
        accuracy=curation["label_issues"].get("out_of_fold_accuracy"),
    )


def _refuse_own_folder(uri: str, folder: Path) -> None:
    if "://" in uri:
        return
    if folder.is_relative_to(uri) or Path(uri).is_relative_to(folder):
        what, remedy = "the trial would plant among its own files", "name a folder of your images"
        raise UsageError(what, file=uri, value=f"it holds or lies in {folder}", remedy=remedy)


def _check_options(options: argparse.Namespace) -> None:
    if not options.source:
        raise UsageError("no images are named", file="SOURCE", remedy=f"name them: `{COMMAND}`")
    if options.count < FEWEST:
        remedy = f"draw {FEWEST} or more"
        raise UsageError("too few images", file="COUNT", value=options.count, remedy=remedy)
    if options.seed < 0:
        raise UsageError("no such seed", file="SEED", value=options.seed, remedy="name 0 or more")
    for key, path in {"SOURCE": options.source, "LABELS": options.labels}.items():
        if path and "://" not in path and not Path(path).expanduser().exists():
            remedy = f"check the path: `{COMMAND}`"
            raise SourceMissing("no such file or folder", file=key, value=path, remedy=remedy)
    if options.layout and options.layout not in LAYOUTS:
        remedy = f"name one of {', '.join(LAYOUTS)}"
        raise UsageError("no such layout", file="LAYOUT", value=options.layout, remedy=remedy)


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.photographs",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        "source",
        nargs="?",
        default="",
        help="a folder, an archive (tar, zip) or s3://bucket/prefix",
    )
    parser.add_argument(
        "--count", type=int, default=COUNT, help=f"the most images to draw (default {COUNT})"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="which images, which faults (default 0)"
    )
    parser.add_argument(
        "--layout", help="how folders give class and split, as for `perennial init`"
    )
    parser.add_argument(
        "--labels", help="a table with the class of each image, as for `perennial init`"
    )
    options = parser.parse_args()
    log_to_stderr("%(message)s", before=clearing())
    logging.getLogger("pipeline_lib.harness.progress").setLevel(logging.INFO)
    try:
        with shown_on_stdout():
            _check_options(options)
            answer = SourceAnswer(layout=options.layout, labels=options.labels)
            try_on(options.source, answer, count=options.count, seed=options.seed)
    except KeyboardInterrupt:
        sys.stderr.write("demo-photographs: stopped; the same command continues\n")
        return CTRL_C
    except PipelineError as error:
        sys.stderr.write(f"demo-photographs: error[{error.code}]: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
