"""Choose how `perennial init` reads a source's folders: as given, as recorded earlier, or by asking."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_lib.settings import Settings
    from pipeline_lib.sources.doubt import Doubt
    from pipeline_lib.survey import Survey


def survey_without_doubt(
    uri: str, settings: Settings, origin: Path, *, layout: str | None, labels: str | None
) -> Survey:
    """Survey the source, and ask which layout is meant where its folders can be read in several ways.

    layout, labels: from the command line. Raises UsageError for an unknown layout, and, listing the choices, if there
    is no terminal to ask on.
    """
    from flows.cli.project import inside
    from pipeline_lib.errors import UsageError
    from pipeline_lib.sources.layout import LAYOUTS
    from pipeline_lib.survey import SourceAnswer, answer_before, survey

    if layout is not None and layout not in LAYOUTS:
        remedy = f"name one of {', '.join(LAYOUTS)}"
        raise UsageError("no such layout", file="--layout", value=layout, remedy=remedy)
    table = labels if labels is None or "://" in labels else inside(origin, labels)
    before = answer_before(origin, uri) if layout is None else None
    stated, splits = before or (layout, None)
    found = survey(uri, settings, root=origin, answer=SourceAnswer(stated, splits, table))
    if found.doubt is None:
        return found
    chosen = _ask(found.doubt, uri)
    return survey(uri, settings, root=origin, answer=SourceAnswer(chosen, None, table))


def _ask(doubt: Doubt, uri: str) -> str:
    """Ask for a layout and return its name. Raises UsageError without a terminal or without an answer."""
    from pipeline_lib.errors import UsageError
    from pipeline_lib.survey import describe_doubt

    names = [one.layout for one in doubt.readings]
    print(f"{uri}: {describe_doubt(doubt)}", flush=True)
    print("  If you only want one of the folders, name it: `perennial init FOLDER`.", flush=True)
    if sys.stdin.isatty():
        for _ in range(3):
            try:
                said = input(f"Which one? 1 to {len(names)}, or its name (empty: stop) ").strip()
            except EOFError:
                said = ""
            if said in names:
                return said
            if said.isdecimal() and 0 < int(said) <= len(names):
                return names[int(said) - 1]
            if not said:
                break
    what = "the folders can be read in several ways, and nothing was written"
    remedy = f"choose one: `perennial init {uri} --layout NAME` with NAME one of {', '.join(names)}"
    raise UsageError(what, file=uri, value=doubt.why, remedy=remedy)
