"""Each stage depends on its fingerprint, which covers exactly the code that can change the stage's bytes."""

from __future__ import annotations

import ast
from functools import cache
from itertools import pairwise
from pathlib import Path

import grimp
import pytest

from pipeline_lib.code_fingerprints.coverage import (
    CANNOT_CHANGE_BYTES,
    PINNED_BY_DIGEST,
    files_beside,
    module_files,
)
from pipeline_lib.code_fingerprints.fingerprint import (
    FINGERPRINT,
    LIBRARY,
    fingerprint,
    readers_of_source,
)
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.harness.line import STAGES
from pipeline_lib.upgrade.releases import CHANGED, KEPT_STAGES, NEXT, SAME, read_releases

ROOT = Path(__file__).parents[2]
STAGES_OF_DVC = read_yaml(ROOT / "dvc.yaml")["stages"]
FILES = module_files(LIBRARY)
COVERED = [
    stage for stage in STAGES if stage != "discover"
]  # discover always runs, and writes the fingerprints


@cache
def graph() -> grimp.ImportGraph:
    """The imports among our modules, function-level ones included, without those that cannot change bytes."""
    imports = grimp.build_graph("pipeline_lib", cache_dir=None, exclude_type_checking_imports=True)
    for module in CANNOT_CHANGE_BYTES:
        imports.remove_module(module)
    for importer, imported in PINNED_BY_DIGEST:
        imports.remove_import(importer=importer, imported=imported)
    return imports


def has_code(file: Path) -> bool:
    return any(
        not isinstance(statement, ast.Expr) for statement in ast.parse(file.read_text()).body
    )


@pytest.mark.parametrize("stage", COVERED)
def test_a_fingerprint_covers_exactly_the_modules_that_can_change_the_bytes(stage: str) -> None:
    run = f"pipeline_lib.{stage}.run"
    imported = {run, *graph().find_upstream_modules(run)}
    around = {module.rpartition(".")[0] for module in imported} - {
        "pipeline_lib",
        *CANNOT_CHANGE_BYTES,
    }
    modules = {FILES[module] for module in imported | around if has_code(FILES[module])}

    covered = {line.partition("  ")[2] for line in fingerprint(stage).splitlines()}

    beside = {other for file in modules for other in files_beside(file)}
    assert covered == {file.relative_to(ROOT).as_posix() for file in modules | beside}


def test_no_stage_reads_docstrings_or_descriptions_so_that_all_may_be_reworded() -> None:
    """One that did would be fingerprinted as it is written, comments included."""
    reading = [f"{stage}: {module}" for stage in COVERED for module in readers_of_source(stage)]

    assert reading == []


@pytest.mark.parametrize("stage", COVERED)
def test_the_fingerprint_is_the_only_dependency_on_code(stage: str) -> None:
    own = f"line/discover/{FINGERPRINT}{stage}.txt"

    deps = [dep for dep in STAGES_OF_DVC[stage]["deps"] if not dep.startswith("curation/")]

    assert deps[0] == own and own in STAGES_OF_DVC["discover"]["outs"]
    assert [dep for dep in deps[1:] if not dep.startswith("line/") or FINGERPRINT in dep] == []


def test_every_module_that_cannot_change_bytes_still_exists() -> None:
    assert [module for module in CANNOT_CHANGE_BYTES if module not in FILES] == []


def test_the_table_of_releases_knows_todays_code() -> None:
    *_, newest = read_releases(ROOT)

    old = [stage for stage in KEPT_STAGES if newest.code[stage] != fingerprint(stage)]
    assert old == [], (
        "run: python -m scripts.write_releases; then say in upgrade/releases.toml what became of the bytes"
    )
    assert newest.name == NEXT


def test_each_release_says_what_became_of_the_bytes_where_the_code_is_another() -> None:
    releases = read_releases(ROOT)

    silent = [
        f"{release.name}: {stage}"
        for before, release in pairwise(releases)
        for stage in KEPT_STAGES
        if before.code[stage] != release.code[stage] and stage not in release.said
    ]
    assert silent == [], "say `same` or `changed`, and why, in upgrade/releases.toml"
    said = [one for release in releases for one in release.said.values()]
    assert all(one.bytes in (SAME, CHANGED) and one.why for one in said)
