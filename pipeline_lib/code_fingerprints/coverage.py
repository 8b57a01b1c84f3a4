"""The files that can change the bytes of a stage: all direct and indirect imports of its `run`, except the allow-list.

The walk is ours, since it happens in every run; a contract test compares it with grimp's import graph.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

PACKAGE = "pipeline_lib"
# Modules that a stage imports and that cannot change the bytes it writes, each with the reason.
CANNOT_CHANGE_BYTES = {
    "pipeline_lib.files.atomic": "moves finished bytes into place",
    "pipeline_lib.files.process_lock": "locks out other processes",
    "pipeline_lib.errors": "words of failures",
    "pipeline_lib.code_fingerprints": "describes the code itself",
    "pipeline_lib.code_fingerprints.coverage": "describes the code itself",
    "pipeline_lib.code_fingerprints.fingerprint": "describes the code itself",
    "pipeline_lib.code_fingerprints.normal_form": "describes the code itself",
    "pipeline_lib.harness.cpu_clock": "ends processes",
    "pipeline_lib.harness.gpu_watch": "looks on",
    "pipeline_lib.harness.line": "finds paths, which dvc.yaml itself holds",
    "pipeline_lib.harness.memo": "restores the same bytes, checked by digest",
    "pipeline_lib.params_file": "reads params, which DVC tracks by value",
    "pipeline_lib.params": "checks the sections of every stage; each stage reads its own, which DVC tracks by value",
    "pipeline_lib.harness.parent_watch": "ends processes",
    "pipeline_lib.harness.progress": "talks",
    "pipeline_lib.reasons": "an enum: a new code changes no old row",
    "pipeline_lib.settings": "a setting never changes a result",
    "pipeline_lib.harness.shards_once": "restores results from the memo, and runs the rest",
    "pipeline_lib.harness.shard_workers": "runs the same function in other processes",
    "pipeline_lib.safe_text": "shows texts to people",
    "pipeline_lib.harness.stage": "the harness: reads, locks, reports",
    "pipeline_lib.harness.terminal": "talks",
    "pipeline_lib.harness.tracking": "sends the content of curves.csv to trackers",
    "pipeline_lib.files.yaml_files": "reads params, which DVC tracks by value",
}
# Imports that fetch bytes which a digest in params.yaml pins, so that the importer does not depend on how.
PINNED_BY_DIGEST = {
    ("pipeline_lib.train.initial_weights", "pipeline_lib.registry"),
    ("pipeline_lib.train.soft_targets", "pipeline_lib.registry"),
}
BESIDE = ("*.[ch]", "templates/*")  # what a module compiles or fills in, as they lie beside it

Import = tuple[str, str]  # module, and the name imported from it or ""


def module_files(library: Path) -> dict[str, Path]:
    """module -> file of every module of the package; of a package its `__init__.py`."""
    files = {}
    for file in library.rglob("*.py"):
        parts = file.relative_to(library).with_suffix("").parts
        names = parts[:-1] if parts[-1] == "__init__" else parts
        files[".".join([PACKAGE, *names])] = file
    return files


def modules_of(
    stage: str, modules: Mapping[str, Path], imports_of: Callable[[str], Collection[Import]]
) -> set[str]:
    """The modules that `<stage>.run` needs, and the packages around them, whose own files run at an import too."""
    first = f"{PACKAGE}.{stage}.run"
    found, waiting = {first}, [first]
    while waiting:
        importer = waiting.pop()
        ours = {_target(one, modules) for one in imports_of(importer)} & modules.keys()
        pinned = {imported for imported in ours if (importer, imported) in PINNED_BY_DIGEST}
        fresh = ours - pinned - found - CANNOT_CHANGE_BYTES.keys()
        found |= fresh
        waiting += fresh
    packages = {module.rpartition(".")[0] for module in found} - {PACKAGE}
    return (found | packages) - CANNOT_CHANGE_BYTES.keys()


def files_beside(module: Path) -> list[Path]:
    """The sources in other languages that belong to a module."""
    return [file for pattern in BESIDE for file in module.parent.glob(pattern) if file.is_file()]


def by_file(modules: Collection[str], files: Mapping[str, Path]) -> list[Path]:
    """The files of modules and the sources beside them, each once."""
    mine = [files[module] for module in modules]
    return sorted({*mine, *(file for one in mine for file in files_beside(one))})


def _target(imported: Import, modules: Mapping[str, Path]) -> str:
    """`from a.b import c` imports the module a.b.c where there is one, else a.b."""
    module, name = imported
    return f"{module}.{name}" if f"{module}.{name}" in modules else module
