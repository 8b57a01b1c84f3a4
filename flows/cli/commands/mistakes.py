"""`perennial mistakes [REF]`: the test images that a model got wrong."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


HELP = "list the test images that a model got wrong: names, classes, probabilities, doubted labels"
EPILOG = (
    "example: perennial mistakes --class cat --as dog --copy-to cats-taken-for-dogs   "
    "(the same table lies beside the report as mistakes.csv)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial mistakes`."""
    parser.add_argument(
        "ref", nargs="?", help="a version number, an alias or a run (default: the last model)"
    )
    parser.add_argument(
        "--class", dest="true", metavar="C", help="only images of this class (its name or its id)"
    )
    parser.add_argument(
        "--as", dest="predicted", metavar="C", help="only images taken for this class"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--csv", action="store_true", help="print as CSV, safe to open in a spreadsheet"
    )
    form.add_argument("--json", action="store_true", help="print a JSON array")
    form.add_argument(
        "--copy-to",
        type=Path,
        metavar="DIR",
        help="copy the images, as received (with faces and EXIF, whatever convert.pixelate says), into a new folder "
        "DIR/TRUE CLASS/PREDICTED CLASS/",
    )


def run(options: argparse.Namespace) -> int:
    """Print the table, worst first. Raises UsageError for an unknown version or class, SourceMissing without a run."""
    from flows.cli.class_names import class_id_of
    from flows.cli.project import find_project
    from pipeline_lib.compare.sides import LAST, side_of
    from pipeline_lib.registry.registry import load_registry
    from pipeline_lib.report.answers import ROLES, mistakes, read_answers
    from pipeline_lib.settings import load_settings
    from pipeline_lib.tables.classes import read_classes

    origin = find_project(Path.cwd())
    registry = load_registry(load_settings(origin), origin)
    closure = side_of(options.ref or LAST, registry).closure
    files = {role: registry.cache.object(closure.md5_of(role)) for role in ROLES}
    answers = read_answers(files)
    classes = read_classes(files["classes"])
    known = {"ids": list(classes["class_id"]), "names": list(classes["name"])}
    found = mistakes(answers)
    if options.true:
        found = found[found["true_class"] == class_id_of(options.true, "--class", **known)]
    if options.predicted:
        found = found[found["predicted_class"] == class_id_of(options.predicted, "--as", **known)]
    if options.csv:
        from pipeline_lib.files.csv_cells import frame_as_csv

        print(frame_as_csv(found), end="")
    elif options.json:
        print(_as_json(found))
    elif options.copy_to:
        from pipeline_lib.report.copies import copy_images

        print(copy_images(found, options.copy_to, cache=registry.cache, closure=closure))
    elif len(found):
        print("\n".join(_lines(found)))
    n_doubted = int((found["label"] == "doubted").sum())
    print(
        f"{len(found):,} mistakes on {len(answers):,} test images; the label is doubted on {n_doubted:,} of them",
        file=sys.stderr,
    )
    return 0


def _as_json(found: pd.DataFrame) -> str:
    rows = found.astype(object).where(found.notna(), None).to_dict("records")
    return json.dumps(rows, indent=1, ensure_ascii=False)


def _lines(found: pd.DataFrame) -> list[str]:
    """One mistake per line, under a head; columns as wide as their widest cell."""
    heads = ["p(true)", "p(pred)", "true", "predicted", "image", "label"]
    rows = [
        [
            f"{row['p_true']:.3f}",
            f"{row['p_predicted']:.3f}",
            row["true_name"],
            row["predicted_name"],
            f"{row['source']}: {row['path']}",
            f"doubted, looks like {row['suggested_name']}"
            if row["label"] == "doubted"
            else row["label"],
        ]
        for row in found.to_dict("records")
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [heads, *rows]
    ]
