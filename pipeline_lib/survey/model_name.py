"""The name under which the models of new data are registered: settings.toml's `model_name`.

Under the name of earlier data its champion would answer for the new classes, and be compared with the first new model.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

MARK = "# by `perennial init`, for the source"
OURS = re.compile(rf"^model_name = .*{re.escape(MARK)} .*\n?", re.MULTILINE)


def free_name(source: str, is_taken: Callable[[str], bool]) -> str:
    """The source's name as a model's, with a number behind it when models of that name are registered already."""
    name = source.replace("_", "-")
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(one for one in names if not is_taken(one))


def is_our_line(settings: str) -> bool:
    """Whether it was `init` that named the model in settings.toml, and not a person."""
    return bool(OURS.search(settings))


def with_model_name(settings: str, name: str, source: str) -> str:
    """The text of settings.toml with the name in a line of our own, in place of the one before."""
    kept = OURS.sub("", settings)
    end = "" if kept.endswith("\n") or not kept else "\n"
    return f'{kept}{end}model_name = "{name}"  {MARK} {source}\n'
