"""Fingerprints of a small library, and what happens when code changes under a line."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from pipeline_lib.code_fingerprints import (
    check_fingerprint,
    differing,
    fingerprint,
    write_fingerprints,
)
from pipeline_lib.errors import BadData, Interrupted
from pipeline_lib.upgrade.releases import KEPT_STAGES

ROOT = Path(__file__).parents[3]

FILES = {
    "__init__.py": "",
    "train/__init__.py": '"""Words alone."""\n',
    "train/run.py": "from pipeline_lib.tables import table\nimport pipeline_lib.errors, pipeline_lib.native.views\n",
    "tables/__init__.py": "KINDS = 2\n",
    "tables/table.py": "def f():\n    from pipeline_lib.late import g\n    return g()\n",
    "late.py": "def g():\n    return 1\n",
    "errors.py": "class Oops(Exception): ...\n",
    "native/__init__.py": "",
    "native/views.py": "import ctypes\n",
    "native/views.c": "int f(void) { return 1; } // one\n",
    "report/render.py": "",
    "other.py": "x = 1\n",
}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "pipeline_lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "pipeline_lib"


def paths(text: str) -> list[str]:
    return [line.partition("  ")[2] for line in text.splitlines()]


def test_a_fingerprint_names_what_the_stage_imports_and_not_what_cannot_change_its_bytes(
    library: Path,
) -> None:
    """errors.py is on the allow-list, train/__init__.py holds words alone, other.py is imported by nobody."""
    assert paths(fingerprint("train", library=library)) == [
        "pipeline_lib/late.py",
        "pipeline_lib/native/views.c",
        "pipeline_lib/native/views.py",
        "pipeline_lib/tables/__init__.py",
        "pipeline_lib/tables/table.py",
        "pipeline_lib/train/run.py",
    ]


def test_two_fingerprints_say_which_module_changed(library: Path) -> None:
    before = fingerprint("train", library=library)
    (library / "late.py").write_text("def g():\n    return 2\n")
    (library / "native/views.c").write_text("int f(void) { return 1; } // another word\n")

    assert differing(before, fingerprint("train", library=library)) == ["pipeline_lib/late.py"]


def test_a_module_that_reads_docstrings_makes_every_word_count(library: Path) -> None:
    (library / "late.py").write_text("def g():\n    return f.__doc__\n")
    before = fingerprint("train", library=library)
    (library / "tables/table.py").write_text("# a comment\n" + FILES["tables/table.py"])

    assert differing(before, fingerprint("train", library=library)) == [
        "pipeline_lib/tables/table.py"
    ]


def test_what_is_kept_in_the_state_folder_gives_the_same_and_damage_to_it_costs_time_alone(
    library: Path, tmp_path: Path
) -> None:
    anew = fingerprint("train", library=library)
    first = fingerprint("train", tmp_path / "state", library)
    kept = tmp_path / "state/code_forms.json"
    assert json.loads(kept.read_text())["facts"]

    for damage in (
        kept.read_text(),
        "{",
        "[]",
        json.dumps({"of": "an older form", "facts": {"x": 1}}),
    ):
        kept.write_text(damage)
        assert fingerprint("train", tmp_path / "state", library) == first == anew


def test_a_file_that_is_not_python_is_named_with_its_line(library: Path) -> None:
    (library / "late.py").write_text("def g():\n    return (\n")

    with pytest.raises(
        BadData, match=r"late.py:2: not Python \(found: .*never closed.*git checkout -- "
    ):
        fingerprint("train", library=library)


def test_a_stage_whose_code_changed_after_discover_does_not_run(tmp_path: Path) -> None:
    """Its result would be locked, and kept in the run-cache, as that of the code before the edit."""
    files = {
        "code_of_curate": tmp_path / "code_of_curate.txt",
        "listing": tmp_path / "listing.parquet",
    }
    write_fingerprints(files, tmp_path)
    check_fingerprint("curate", files, tmp_path)
    check_fingerprint("train", files, tmp_path)  # without DVC there is none

    lines = files["code_of_curate"].read_text().splitlines(keepends=True)
    files["code_of_curate"].write_text(
        "".join(line for line in lines if "curate/run.py" not in line)
    )

    with pytest.raises(
        Interrupted,
        match=r"pipeline_lib/curate/run.py: the code of curate changed.*run `dvc repro`",
    ):
        check_fingerprint("curate", files, tmp_path)
    assert files["code_of_curate"].exists() and not files["listing"].exists()
    assert "".join(lines) == fingerprint("curate")


ALL_STAGES = """
import sys
sys.dont_write_bytecode = True
from pipeline_lib.code_fingerprints import fingerprint
print("".join(fingerprint(stage) for stage in sys.argv[1:]))
"""


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_same_source_has_the_same_fingerprint_under_every_python(version: str) -> None:
    command = [f"python{version}", "-c", ALL_STAGES, *KEPT_STAGES]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYENV_VERSION": version}
    try:
        other = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no Python {version} runs here: {error}")

    assert other.stdout == "".join(fingerprint(stage) for stage in KEPT_STAGES) + "\n"
