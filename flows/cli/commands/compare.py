"""`perennial compare A B`: what differs between two models."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "compare two models: flips by image, classes, data, labels, parameters, code"
EPILOG = (
    "A and B: version numbers, champion, challenger, reference, a run (its name or tag, see `perennial history`), or "
    "`last`. Right and wrong go by the labels of B; classes renamed since A count as the same. "
    "example: perennial compare reference champion --page"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial compare`."""
    parser.add_argument("a", metavar="A", help="the model to compare with")
    parser.add_argument("b", metavar="B", help="the model that is compared with it")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print all of it as a JSON object")
    form.add_argument(
        "--csv",
        action="store_true",
        help="print the images that flipped as CSV, safe to open in a spreadsheet",
    )
    form.add_argument(
        "--page",
        action="store_true",
        help="write a page with the images that flipped or have another label, and print its path",
    )


def run(options: argparse.Namespace) -> int:
    """Print the comparison. Raises UsageError for an unknown model, SourceMissing when the cache lost its tables."""
    from flows.cli.project import find_project
    from pipeline_lib.compare.compared import compare_sides
    from pipeline_lib.compare.sides import side_of
    from pipeline_lib.compare.words import as_csv, as_json, as_text
    from pipeline_lib.params_file import load_section
    from pipeline_lib.register.params import RegisterParams
    from pipeline_lib.registry.registry import load_registry
    from pipeline_lib.settings import load_settings

    origin = find_project(Path.cwd())
    settings = load_settings(origin)
    registry = load_registry(settings, origin)
    rules = load_section(origin / "params.yaml", "register", RegisterParams)
    a, b = side_of(options.a, registry), side_of(options.b, registry)
    found = compare_sides(a, b, registry, rules)
    if options.csv:
        print(as_csv(found), end="")
    elif options.json:
        print(as_json(found))
    elif options.page:
        from pipeline_lib.compare.page import write_comparison
        from pipeline_lib.history import gather, write_page

        keep, workers = settings.keep_reports, settings.worker_count()
        page = write_comparison(found, registry, keep=keep, workers=workers)
        write_page(gather(registry, settings), registry.state_folder / "reports")  # leads to it
        print(page.resolve())
    else:
        print(as_text(found))
    return 0
