"""YAML as DVC reads it (YAML 1.2: `no` is a word, `1e-3` a number), through ruamel.yaml."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from pipeline_lib.errors import ConfigError


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file whose top level is a mapping. Raises ConfigError with line and column."""
    try:
        content = copy.deepcopy(_parsed(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(
            "no such file",
            file=path,
            remedy="run from the project's folder, or restore it from git",
        ) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(
            "not valid YAML", file=where, value=error.problem or "", remedy="fix that line"
        ) from error
    except (UnicodeDecodeError, ReaderError) as error:
        raise ConfigError(
            "not a text file", file=path, value=error.reason, remedy="save it as UTF-8"
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(
            "the top level must be a mapping",
            file=path,
            value=type(content).__name__,
            remedy="see params.yaml in git",
        )
    return content


@functools.lru_cache(maxsize=16)
def _parsed(text: str) -> Any:
    """Parse a file, with a cache: dvc.yaml takes a fifth of a second, and a stage reads it several times."""
    return YAML(typ="safe", pure=True).load(text)
