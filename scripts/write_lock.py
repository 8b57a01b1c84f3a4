"""Resolve the dependencies of pyproject.toml anew into requirements.lock: `make lock`.

The lock is one list in three parts, `SETS`, each headed by its name. A part holds what its set needs beyond the parts
above it, so a set is the lock up to its part's end, which is how scripts/set_up.sh cuts it, and the whole file is what
developers need.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
# The name of a set, the extra of pyproject.toml that asks for it, and what is in its part.
SETS = (
    ("predict", "", "what `perennial predict` needs"),
    ("line", "line", "what the line needs besides"),
    ("developers", "dev", "what tests and checks need besides"),
)
COMPILE = (sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--python-version", "3.11")
OPTIONS = ("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-package", "perennial")


def main() -> None:
    """Command line. Versions that the lock holds are kept where the ranges allow them."""
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary) / "whole.txt"
        whole.write_text(LOCK.read_text(encoding="utf-8"), encoding="utf-8")
        _compiled("dev", "--output-file", str(whole))
        pins = pins_of(whole.read_text(encoding="utf-8"))
        known: set[str] = set()
        parts = []
        for name, extra, meaning in SETS:
            needed = pins_of(_compiled(extra, "--constraint", str(whole)))
            parts.append(
                "".join(
                    [f"# {name}: {meaning}\n", *(pins[key] for key in needed if key not in known)]
                )
            )
            known |= set(needed)
    LOCK.write_text("".join(parts), encoding="utf-8")


def pins_of(text: str) -> dict[str, str]:
    """Package -> its lines, with version, marker and hashes, in the order of a lock's text."""
    pins = re.findall(r"^[\w.-]+==.*\n(?:    --hash=.*\n)*", text, re.MULTILINE)
    return {pin.partition("==")[0]: pin for pin in pins}


def _compiled(extra: str, *options: str) -> str:
    """What uv resolves for the project with one of its extras. Raises CalledProcessError, uv's words on stderr."""
    extras = ["--extra", extra] if extra else []
    command = [*COMPILE, *OPTIONS, *extras, *options, "pyproject.toml"]
    return subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    ).stdout


if __name__ == "__main__":
    main()
