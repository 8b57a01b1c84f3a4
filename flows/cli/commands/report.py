"""`perennial report [REF]`: print the path of a report, write it as one file, or erase an image from all reports."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "print the path of the report of the last run, or of a version"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial report`."""
    parser.add_argument(
        "ref", nargs="?", help="a version number or an alias (default: the last run)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--single-file",
        type=Path,
        metavar="FILE",
        help="write all pages and images into one HTML file, to send",
    )
    form.add_argument(
        "--zip", type=Path, metavar="FILE", help="write the folder as one zip, to send"
    )
    form.add_argument(
        "--erase",
        metavar="SHA256",
        help="remove the image with these bytes from the pages, images and tables of all reports and comparisons",
    )


def run(options: argparse.Namespace) -> int:
    """Print the path of what was asked for. Raises UsageError for an unknown version, SourceMissing without a report."""
    from flows.cli.project import find_project
    from pipeline_lib.errors import SourceMissing
    from pipeline_lib.register.publish import report_path
    from pipeline_lib.registry import load_registry, records
    from pipeline_lib.registry.report_places import COMPARISONS, REPORT
    from pipeline_lib.settings import load_settings

    origin = find_project(Path.cwd())
    settings = load_settings(origin)
    reports = settings.state_folder(origin) / "reports"
    if options.erase:
        from pipeline_lib.report.erase import erase_from_reports

        n_files = erase_from_reports(reports, options.erase)
        n_files += erase_from_reports(reports.with_name(COMPARISONS), options.erase)
        print(f"erased from {n_files} files below {reports.parent}")
        return 0
    report = reports / "latest" / REPORT
    if options.ref:
        key = load_registry(settings, origin).version(options.ref).tags[records.KEY]
        report = report_path(settings.state_folder(origin), key)
    if not report.exists():
        raise SourceMissing(
            "there is no report yet",
            file=report,
            remedy="run `dvc repro` or `perennial run`, which write one",
        )
    if options.single_file:
        from pipeline_lib.report.bundle import write_single_file

        write_single_file(report.parent, options.single_file)
    elif options.zip:
        from pipeline_lib.report.bundle import write_zip

        write_zip(report.parent, options.zip)
    print((options.single_file or options.zip or report).resolve())
    return 0
