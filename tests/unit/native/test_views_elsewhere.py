"""The same bytes on other processors: without AVX2, without optimisation, and on ARM (under emulation)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline_lib.native.build import FOLDER

TESTING = Path(__file__).parents[3] / "testing"
SOURCES = [str(TESTING / "resize_digest.c"), str(FOLDER / "views.c"), str(FOLDER / "resize.c")]
ARM_COMPILER, ARM_EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"


def digest(folder: Path, compiler: str, *flags: str, run_by: tuple[str, ...] = ()) -> str:
    """Compile with these flags, run, and return what it prints."""
    program = folder / "digest"
    command = [
        compiler,
        "-std=c11",
        "-ffp-contract=off",
        f"-I{FOLDER}",
        *flags,
        *SOURCES,
        "-o",
        str(program),
    ]
    subprocess.run(command, check=True)
    return subprocess.run(
        [*run_by, str(program)], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_neither_avx2_nor_optimisation_changes_a_byte(tmp_path: Path) -> None:
    usual = digest(tmp_path, "cc", "-O3")

    assert len(usual) == 16
    assert digest(tmp_path, "cc", "-O3", "-DVIEWS_PLAIN") == usual
    assert digest(tmp_path, "cc", "-O0", "-DVIEWS_PLAIN") == usual


@pytest.mark.skipif(
    not (shutil.which(ARM_COMPILER) and shutil.which(ARM_EMULATOR)),
    reason="needs Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user-static",
)
def test_arm_gives_the_same_bytes(tmp_path: Path) -> None:
    arm = digest(tmp_path, ARM_COMPILER, "-O3", "-static", run_by=(ARM_EMULATOR,))

    assert arm == digest(tmp_path, "cc", "-O3")
