"""Which of our modules a stage's bytes depend on, from the real import graph."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]

# Modules that a stage imports and that cannot change the bytes it writes, each with the reason.
CANNOT_CHANGE_BYTES = {
    "pipeline_lib.files.atomic": "moves finished bytes into place",
    "pipeline_lib.files.lock": "holds off other processes",
    "pipeline_lib.errors": "words of failures",
    "pipeline_lib.harness.gpu_watch": "looks on",
    "pipeline_lib.harness.line": "finds paths, which dvc.yaml itself holds",
    "pipeline_lib.harness.memo": "brings back the same bytes, checked by digest",
    "pipeline_lib.params_file": "reads params, which DVC tracks by value",
    "pipeline_lib.params": "checks the sections of every stage; each stage reads its own, which DVC tracks by value",
    "pipeline_lib.harness.parent_watch": "ends processes",
    "pipeline_lib.harness.progress": "talks",
    "pipeline_lib.reasons": "an enum: a new code changes no old row",
    "pipeline_lib.settings": "a setting never changes a result",
    "pipeline_lib.harness.shard_workers": "runs the same function in other processes",
    "pipeline_lib.shown": "shows texts to people",
    "pipeline_lib.harness.stage": "the harness: reads, locks, reports",
    "pipeline_lib.harness.terminal": "talks",
    "pipeline_lib.harness.tracking": "tells others what curves.csv holds",
    "pipeline_lib.files.yaml_files": "reads params, which DVC tracks by value",
}

# Imports that fetch bytes which a digest in params.yaml pins, so that the importer does not depend on how.
PINNED_BY_DIGEST = {
    ("pipeline_lib.train.initial_weights", "pipeline_lib.registry"),
    ("pipeline_lib.train.soft_targets", "pipeline_lib.registry"),
}


@cache
def graph() -> grimp.ImportGraph:
    """The imports among our modules, function-level ones included, without those that cannot change bytes."""
    imports = grimp.build_graph("pipeline_lib", cache_dir=None)
    for module in CANNOT_CHANGE_BYTES:
        imports.remove_module(module)
    for importer, imported in PINNED_BY_DIGEST:
        imports.remove_import(importer=importer, imported=imported)
    return imports


def modules_of(stage: str) -> set[str]:
    """All modules that `pipeline_lib.<stage>.run` imports, directly or not, and that can change bytes."""
    imported = {f"pipeline_lib.{stage}.run", *graph().find_upstream_modules(f"pipeline_lib.{stage}.run")}
    packages = {module.rpartition(".")[0] for module in imported}  # importing a module runs its package's file too
    return {module for module in imported | packages if module != "pipeline_lib" and has_code(source_file(module))}


def has_code(file: Path) -> bool:
    """Whether a file holds more than a docstring."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return len(body) > 1 or (bool(body) and not isinstance(body[0], ast.Expr))


def source_file(module: str) -> Path:
    """The file of a module, or a package's own file."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def source_files(module: str) -> list[Path]:
    """A module's file, and the C sources that lie beside it."""
    file = source_file(module)
    return [file, *file.parent.glob("*.[ch]")]


def expected_deps(stage: str) -> list[str]:
    """The code deps a stage should list: its own folder, other folders that it needs whole, and other files by name.

    Every entry is looked up, locked and written again at each step of DVC: the fewer, the sooner it starts.
    """
    files = {file for module in modules_of(stage) for file in source_files(module)}
    own = ROOT / "pipeline_lib" / stage
    whole = {
        folder for folder in {file.parent for file in files} if len(_code_in(folder)) > 1 and _code_in(folder) <= files
    }
    named = {own, *whole, *(file for file in files if file.parent not in {own, *whole})}
    return sorted(path.relative_to(ROOT).as_posix() for path in named)


def _code_in(folder: Path) -> set[Path]:
    """The sources of a folder that hold code."""
    return {*folder.glob("*.[ch]"), *(file for file in folder.glob("*.py") if has_code(file))}
