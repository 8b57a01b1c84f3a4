"""`perennial why IMAGE...`: everything that the line knows of an image."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline_lib.registry import Registry

HELP = "tell all that is known of an image: origin, label, decision with reason and remedy, split, answers, who learnt it"
EPILOG = "example: perennial why photos/cat/7.jpg   (docs/why.md reads an answer line by line)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial why`."""
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="an image_id, a file (found by its bytes), a path in the source, a file name, or the first 6 digits or more "
        "of a sha256",
    )
    parser.add_argument(
        "--model",
        metavar="REF",
        help="tables and answers of this version, alias or run (default: the last model)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print a JSON array, an object per image"
    )


def run(options: argparse.Namespace) -> int:
    """Print each image's story. A name that fits none or several is told, and its exit code returned after the others'.

    Raises UsageError for an unknown version, SourceMissing where no image was curated yet or the cache lost the tables.
    """
    import json

    from flows.cli.project import find_project
    from pipeline_lib.errors import UsageError
    from pipeline_lib.registry.registry import load_registry
    from pipeline_lib.safe_text import shown
    from pipeline_lib.settings import load_settings
    from pipeline_lib.why.find import find_images
    from pipeline_lib.why.story import known_images, story_of
    from pipeline_lib.why.words import in_words

    origin = find_project(Path.cwd())
    registry = load_registry(load_settings(origin), origin)
    name, files = _tables(options.model, registry, origin)
    rows = known_images(files)
    versions = registry.versions()
    stories: list[dict[str, Any]] = []
    code = 0
    for said in dict.fromkeys(options.images):
        try:
            found = find_images(said, rows)
        except UsageError as fault:
            code = fault.exit_code
            print(shown(f"perennial why: error[{fault.code}]: {fault}"), file=sys.stderr)
            continue
        if found.remark:
            print(shown(f"perennial why: {found.remark}"), file=sys.stderr)
        known = {one["image_id"] for one in stories}
        stories += [
            story_of(image_id, files, checkout=origin, versions=versions, cache=registry.cache)
            for image_id in found.image_ids
            if image_id not in known
        ]
    if options.json:
        print(json.dumps(stories, indent=1, ensure_ascii=False))
    elif stories:
        print("\n\n".join(in_words(one, model=name) for one in stories))
    return code


def _tables(ref: str | None, registry: Registry, origin: Path) -> tuple[str, Mapping[str, Path]]:
    """What the model is called, and its tables by role; without any model those that lie in the checkout."""
    from pipeline_lib.compare.sides import LAST, files_of, side_of
    from pipeline_lib.errors import SourceMissing
    from pipeline_lib.harness.line import read_line
    from pipeline_lib.register.publish import latest_attempt
    from pipeline_lib.why.story import LATER_ROLES, ROLES

    if ref is not None or latest_attempt(registry) is not None:
        side = side_of(ref or LAST, registry)
        outs = {Path(path).stem for one in side.closure.stages.values() for path in one.outs}
        wanted = [*ROLES, *(role for role in LATER_ROLES if role in outs)]
        return side.name, files_of(side, wanted, registry)
    line = read_line(origin)
    paths = {role: line.path(role) for role in (*ROLES, *LATER_ROLES)}
    files = {role: path for role, path in paths.items() if path.exists()}
    if not {"manifest", "classes", "sources"} <= files.keys():
        raise SourceMissing(
            "no image has been curated yet",
            file=paths["manifest"],
            remedy="run `dvc repro` or `perennial run`; a run that stopped before says why in its last line",
        )
    return "the model to come", files
