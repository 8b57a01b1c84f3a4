"""`perennial export [REF] --to DIR`: a model as files for programs without Perennial."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_lib.export.judged import Form

HELP = "write a model as files that explain themselves, also in half precision or 8 bits"
EPILOG = (
    "example: perennial export champion --to for-the-phone --int8   "
    "(a smaller form that the gate's rules refuse is not written, and the exit code is 3: docs/export.md)"
)


EPOCHS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial export`."""
    parser.add_argument(
        "ref",
        nargs="?",
        default="champion",
        help="a version number or an alias (default: champion)",
    )
    parser.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="folder to write, new or empty"
    )
    parser.add_argument("--fp16", action="store_true", help="also in half precision: half the size")
    parser.add_argument(
        "--int8",
        action="store_true",
        help="also in 8 bits, quantised with training images: a quarter of the size",
    )
    parser.add_argument(
        "--prune",
        type=share,
        default=0.0,
        metavar="SHARE",
        help="also without this share of its channels (0.1 to 0.9), fine-tuned to answer as before; with --int8 in 8 "
        "bits too",
    )
    parser.add_argument(
        "--epochs",
        type=positive,
        default=EPOCHS,
        metavar="N",
        help=f"epochs of fine-tuning after --prune (default: {EPOCHS})",
    )


def share(text: str) -> float:
    """Parse --prune. Raises ArgumentTypeError."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.1 <= found <= 0.9:
        raise argparse.ArgumentTypeError(f"{text}: name a share from 0.1 to 0.9")
    return found


def positive(text: str) -> int:
    """Parse --epochs. Raises ArgumentTypeError."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text}: name a number of 1 or more")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Write the folder and print what is in it. Raises GateHeld if a form that was asked for was refused."""
    from flows.cli.project import find_project
    from pipeline_lib.errors import GateHeld
    from pipeline_lib.export.write import Smaller, check_target, write_export
    from pipeline_lib.params_file import load_section
    from pipeline_lib.register.params import RegisterParams
    from pipeline_lib.registry.registry import load_registry
    from pipeline_lib.settings import load_settings

    check_target(options.to)
    origin = find_project(Path.cwd())
    settings = load_settings(origin)
    registry = load_registry(settings, origin)
    version = registry.version(options.ref)
    exported = write_export(
        version,
        options.to,
        registry=registry,
        settings=settings,
        params=load_section(origin / "params.yaml", "register", RegisterParams),
        smaller=Smaller(options.fp16, options.int8, options.prune, options.epochs),
    )
    print(f"version {version.number} -> {options.to}: {', '.join(exported.files)}")
    if exported.forms:
        print("\n".join(_table(exported.forms)))
    refused = [form for form in exported.forms if form.refusal]
    if refused:
        raise GateHeld(
            f"not written: {', '.join(form.name for form in refused)}",
            file=options.to,
            value="; ".join(f"{form.name}: {form.refusal}" for form in refused),
            remedy="use the other files, or more test images, which can show a smaller loss",
        )
    return 0


def _table(forms: Sequence[Form]) -> list[str]:
    head = ("form", "kB", "top-1", "same answer", "largest dp", "CPU ms for 1", "for 64")
    rows = [
        (
            form.name,
            f"{form.size_bytes / 1000:,.0f}",
            f"{form.top1:.2%}",
            f"{form.agreement:.2%}",
            f"{form.max_abs_dp:.1g}",
            *(f"{ms:.2f}" for ms in form.cpu_ms.values()),
        )
        for form in forms
    ]
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in (head, *rows)
    ]
