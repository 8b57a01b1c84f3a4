"""The `perennial` command. Heavy imports stay inside the commands: `perennial --help` answers at once."""

from __future__ import annotations

import argparse
import io
import logging
import sys
import traceback
from importlib import import_module

from pipeline_lib.errors import CodeFailed, PipelineError, exit_codes, missing_module, unforeseen
from pipeline_lib.harness.terminal import clearing
from pipeline_lib.safe_text import log_to_stderr, shown, shown_on_stdout

COMMANDS = (
    *(
        "init",
        "discover",
        "run",
        "sweep",
        "predict",
        "explain",
        "lineage",
        "versions",
        "history",
        "compare",
        "promote",
        "rollback",
        "report",
        "mistakes",
        "why",
        "export",
        "review",
        "dataset",
        "params",
        "rate",
        "upgrade",
    ),
    *("join", "settings", "up", "status", "down"),
)
CTRL_C = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code. Results go to stdout, messages to stderr."""
    if isinstance(
        sys.stdout, io.TextIOWrapper
    ):  # escape what the terminal cannot show, as stderr does
        sys.stdout.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)
    level = logging.DEBUG if options.verbose else logging.WARNING
    log_to_stderr("%(message)s", before=clearing(), level=level)
    logging.getLogger("pipeline_lib.harness.progress").setLevel(logging.INFO)
    try:
        with shown_on_stdout():
            code: int = import_module(f"flows.cli.commands.{options.command}").run(options)
    except PipelineError as error:
        if options.verbose:
            sys.stderr.write(shown(traceback.format_exc()))
        print(f"perennial {options.command}: error[{error.code}]: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"perennial {options.command}: stopped by Ctrl-C", file=sys.stderr)
        return CTRL_C
    except BrokenPipeError:  # the reader of our stdout, such as `head`, has closed it
        sys.stderr.close()
        return 0
    except ModuleNotFoundError as error:
        failure = missing_module(error, file=f"perennial {options.command}")
        if options.verbose or failure.code == CodeFailed.code:
            sys.stderr.write(shown(traceback.format_exc()))
        print(f"perennial {options.command}: error[{failure.code}]: {failure}", file=sys.stderr)
        return failure.exit_code
    except Exception as error:  # noqa: BLE001 - the border: a defect of ours still ends in one line that says so
        failure = unforeseen(error, file=f"perennial {options.command}")
        print(f"perennial {options.command}: error[{failure.code}]: {failure}", file=sys.stderr)
        return failure.exit_code
    return code


def build_parser() -> argparse.ArgumentParser:
    """Build the parser with all commands."""
    parser = argparse.ArgumentParser(
        prog="perennial",
        description="An image classifier that retrains itself.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="print debug messages and the traceback of an error",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = import_module(f"flows.cli.commands.{name}")
        text = command.HELP[0].upper() + command.HELP[1:] + "."
        sub = commands.add_parser(
            name, help=command.HELP, description=text, epilog=getattr(command, "EPILOG", None)
        )
        command.add_arguments(sub)
    return parser


def _epilog() -> str:
    lines = [f"  {code:>3}  {', '.join(names)}" for code, names in exit_codes().items()]
    head = "`dvc repro` does the same work without Prefect. `perennial COMMAND --help`: one command.\n\nexit codes:\n"
    return "\n".join([head + "    0  ok", *lines, f"  {CTRL_C}  stopped by Ctrl-C"])
