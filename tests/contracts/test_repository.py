"""Habits of the house that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()
OPEN_NO_TEXT = {"os", "tarfile", "Image", "archive", "webbrowser"}  # whose `open` has no text mode
PYTHON = [file for file in TRACKED if file.endswith(".py") and (ROOT / file).exists()]


def test_the_lock_holds_hashes_and_no_host_names() -> None:
    lock = (ROOT / "requirements.lock").read_text()

    pins = re.findall(r"^\S+==\S+", lock, re.MULTILINE)

    assert len(pins) > 100
    assert lock.count("--hash=sha256:") >= len(pins)
    assert "://" not in lock and "--index" not in lock


@pytest.mark.parametrize("folder", ["flows", "tasks", "pipeline_lib", "demo"])
def test_no_file_is_longer_than_about_three_hundred_lines(folder: str) -> None:
    files = [file for file in PYTHON if file.startswith(folder + "/")]

    long = {
        file: lines
        for file in files
        if (lines := len((ROOT / file).read_text().splitlines())) > 350
    }

    assert long == {}


def test_no_file_has_a_name_that_says_nothing() -> None:
    empty_words = {"utils", "helpers", "common", "core", "manager", "handler", "misc"}

    assert [file for file in PYTHON if Path(file).stem in empty_words] == []


def test_the_library_prints_nothing() -> None:
    printing = [
        f
        for f in PYTHON
        if f.startswith("pipeline_lib/") and re.search(r"^\s*print\(", (ROOT / f).read_text(), re.M)
    ]

    assert printing == []


# Its unpickler knows four names and calls nothing but a function of its own; tests/unit/backbones shows it.
UNPICKLES_DESCRIPTIONS = "pipeline_lib/backbones/torch_file.py"


def test_nothing_of_the_product_unpickles() -> None:
    product = [
        file for file in PYTHON if not file.startswith("tests/") and file != UNPICKLES_DESCRIPTIONS
    ]
    text = {file: (ROOT / file).read_text() for file in product}

    assert [
        file for file in product if re.search(r"^\s*(import pickle|from pickle)", text[file], re.M)
    ] == []
    assert [
        file
        for file in product
        if "torch.load(" in text[file] and "weights_only=True" not in text[file]
    ] == []


def test_the_tests_marked_gpu_are_the_only_ones_that_need_a_device() -> None:
    needing = [
        f for f in PYTHON if f.startswith("tests/") and 'device="cuda"' in (ROOT / f).read_text()
    ]

    assert all("pytest.mark.gpu" in (ROOT / f).read_text() for f in needing), needing


def test_text_is_read_and_written_in_utf_8_whatever_the_locale_says() -> None:
    product = [file for file in PYTHON if not file.startswith(("tests/", "testing/"))]

    assert [
        place for file in product for place in _calls_that_leave_the_encoding_to_the_locale(file)
    ] == []


def _calls_that_leave_the_encoding_to_the_locale(file: str) -> list[str]:
    """file:line of each. ruff's PLW1514 (a preview) misses what it cannot tell to be a Path, and subprocess."""
    calls = [
        node
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.Call)
    ]
    return [
        f"{file}:{call.lineno}"
        for call in calls
        if _is_text(call) and "encoding" not in _keywords(call)
    ]


def _is_text(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = (
        call.func.value.id
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
        else ""
    )
    if "text" in _keywords(call) and name in {"run", "Popen", "check_output"}:
        return True
    if name in {"open", "TemporaryFile", "NamedTemporaryFile"} and owner not in OPEN_NO_TEXT:
        modes = [
            word.value
            for word in call.args
            if isinstance(word, ast.Constant) and isinstance(word.value, str)
        ]
        default = "r" if name == "open" else "w+b"
        return not any("b" in mode for mode in modes or [default])
    return isinstance(call.func, ast.Attribute) and name in {"read_text", "write_text"}


def _keywords(call: ast.Call) -> set[str | None]:
    return {keyword.arg for keyword in call.keywords}
