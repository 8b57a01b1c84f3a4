"""`perennial review`: ask people about doubtful images, and write their answers to curation/overrides.csv."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_lib.review import Questions
    from pipeline_lib.review.answers import Answer

HELP = "make a page to review doubtful images in a browser; import the answers; exchange with Label Studio"
EPILOG = "Without an action, it writes the page and prints its path. docs/review.md describes the work with it."
MOST = 2000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial review`."""
    parser.add_argument(
        "--most",
        type=_count,
        default=MOST,
        metavar="N",
        help=f"maximum number of questions (default {MOST})",
    )
    parser.add_argument(
        "--open", action="store_true", help="open the page in this machine's browser"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    taken = actions.add_parser(
        "import", help="merge answers (the page's CSV, Label Studio's JSON) into overrides.csv"
    )
    taken.add_argument("answers", type=Path, metavar="FILE")
    given = actions.add_parser("export", help="write the questions as tasks for Label Studio")
    given.add_argument(
        "--label-studio",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="where to write the two files",
    )


def _count(text: str) -> int:
    """Parse a number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"not a number of questions: {text}")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Write the page, import answers or export tasks. Raises UsageError, BadData, ConfigError."""
    from flows.cli.project import find_project

    origin = find_project(Path.cwd())
    if options.action == "import":
        return _import(origin, options.answers)
    if options.action == "export":
        return _export(origin, options.label_studio, options.most)
    return _page(origin, options)


def _page(origin: Path, options: argparse.Namespace) -> int:
    from pipeline_lib.files.atomic import private_folder, write_text
    from pipeline_lib.review import render_page
    from pipeline_lib.settings import load_settings

    settings = load_settings(origin)
    found = _questions(origin, options.most)
    page = private_folder(settings.state_folder(origin)) / "review" / "index.html"
    write_text(page, render_page(found, name=settings.model_name))
    kinds = ", ".join(f"{kind.replace('_', ' ')} {n}" for kind, n in found.totals.items()) or "none"
    size_mb = page.stat().st_size / 1e6
    print(
        f"{len(found.asked)} of {sum(found.totals.values())} questions ({kinds}), {size_mb:.1f} MB",
        file=sys.stderr,
    )
    print(page)
    if options.open:
        import webbrowser

        webbrowser.open(page.as_uri())
    return 0


def _export(origin: Path, folder: Path, most: int) -> int:
    import json

    from pipeline_lib.files.atomic import write_text
    from pipeline_lib.review import label_studio

    found = _questions(origin, most)
    tasks = label_studio.tasks(found)
    write_text(folder / "tasks.json", json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")
    write_text(folder / "labelling.xml", label_studio.labelling_config(found.classes))
    print(
        f"{len(tasks)} tasks; create a project with labelling.xml, then import tasks.json",
        file=sys.stderr,
    )
    print(folder / "tasks.json")
    return 0


def _import(origin: Path, file: Path) -> int:
    from pipeline_lib.curate.curation_files import OVERRIDES, read_overrides
    from pipeline_lib.curate.run import check_overrides
    from pipeline_lib.files.atomic import write_text
    from pipeline_lib.harness.line import read_line
    from pipeline_lib.params import load_params
    from pipeline_lib.review import merge

    answers = _answers(file)
    merged = merge(read_overrides(origin), answers, OVERRIDES)
    if merged.added:
        named = Path(f"{OVERRIDES} with the answers of {file.name}")
        params = load_params(origin / "params.yaml").curate
        check_overrides(
            merged.text, named, reads=read_line(origin).stage_files("curate").reads, params=params
        )
        write_text(origin / OVERRIDES, merged.text)
    known = f", {merged.known} already there" if merged.known else ""
    print(f"{OVERRIDES}: {merged.added} lines added{known}")
    if merged.added:
        print(
            "next: `git diff curation`, commit, then `dvc repro` or `perennial run`",
            file=sys.stderr,
        )
    return 0


def _answers(file: Path) -> tuple[Answer, ...]:
    from pipeline_lib.errors import SourceMissing
    from pipeline_lib.review import read_answers
    from pipeline_lib.review.label_studio import read_exported

    if not file.is_file():
        remedy = "name the CSV file downloaded from the review page, or Label Studio's JSON export"
        raise SourceMissing("no such file", file=file, remedy=remedy)
    text = file.read_text(encoding="utf-8", errors="replace")
    if not text.lstrip("\ufeff \n").startswith(("[", "{")):
        return read_answers(text, file)
    exported = read_exported(text, file)
    print(f"{exported.unanswered} tasks without an answer", file=sys.stderr)
    for key in exported.disputed:
        print(f"left out, annotators disagree: {key}", file=sys.stderr)
    return exported.answers


def _questions(origin: Path, most: int) -> Questions:
    from pipeline_lib.harness.line import read_line
    from pipeline_lib.params import load_params
    from pipeline_lib.pixels.pixelate import pixelation_of
    from pipeline_lib.review import gather

    line = read_line(origin)
    pixelation = pixelation_of(load_params(origin / "params.yaml").convert.model_dump())
    roles = ("review", "manifest", "classes", "votes", "images", "members", "shards", "pixel_rules")
    files = {role: line.path(role) for role in roles}
    return gather(files, most=most, pixelation=pixelation)
