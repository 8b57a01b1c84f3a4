"""Compile the C sources beside this file, once per machine and version of the sources.

The library is kept in the virtual environment under the hash of its sources, so that a flow's workspace at another
commit has its own, and compiles it at first use if set-up has not. `python -m pipeline_lib.native.build`
compiles it now.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from pipeline_lib.errors import DependencyMissing, PipelineError

FOLDER = Path(__file__).parent
SOURCES = ("views.c", "jpeg_box.c", "resize.c")
# No contraction of a * b + c: the weights of the filter would differ between processors. No -march: another machine may
# share the environment, so resize.c asks the processor for AVX2 when it runs.
FLAGS = ("-O3", "-std=c11", "-ffp-contract=off", "-fPIC", "-shared", "-Wall", "-Wextra")
LIBRARIES = ("-ljpeg",)


def library_path(*, anew: bool = False) -> Path:
    """Where the compiled sources are kept; compiles them if they are not there. Raises DependencyMissing.

    anew: compile them even if they are there.
    """
    path = Path(sys.prefix) / "lib" / "perennial" / f"views-{_version()}.so"
    if anew or not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Renamed once it is whole: several processes may compile at once, and one may be killed.
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            compiled = Path(folder) / path.name
            compile_to(compiled)
            compiled.replace(path)
    return path


def compile_to(path: Path, *flags: str) -> None:
    """Run the C compiler, with more flags for tests. Raises DependencyMissing with what it said."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise unusable("no C compiler")
    sources = [str(FOLDER / name) for name in SOURCES]
    command = [compiler, *FLAGS, *flags, *sources, "-o", str(path), *LIBRARIES]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        # The first line that tells of an error; the others repeat the sources.
        lines = [line for line in done.stderr.splitlines() if "rror" in line or "cannot" in line]
        raise unusable(next(iter(lines), "no output"))


def _version() -> str:
    """The hash of everything that decides on the library."""
    digest = hashlib.sha256(repr((FLAGS, LIBRARIES, sysconfig.get_platform())).encode())
    for name in ("views.h", *SOURCES):
        digest.update((FOLDER / name).read_bytes())
    return digest.hexdigest()[:16]


def unusable(found: str) -> DependencyMissing:
    """The error for a decoder that is not there. found: what the compiler or the loader said."""
    remedy = "run `make setup`, which installs a compiler and libjpeg-dev, or set PERENNIAL_LOADER=python"
    return DependencyMissing(
        "the C decoder cannot be used", file=FOLDER, value=found, remedy=remedy
    )


if __name__ == "__main__":
    try:
        library_path()
    except PipelineError as error:
        sys.exit(str(error))
