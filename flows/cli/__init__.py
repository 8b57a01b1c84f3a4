"""The `perennial` command: parser.py finds and runs the commands; one file per command lies in commands/."""

from __future__ import annotations

from flows.cli.parser import main

__all__ = ["main"]
