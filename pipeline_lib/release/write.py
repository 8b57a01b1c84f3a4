"""Write the folder of a release: releases/NAME with croissant.json, datasheet.md and checksums.sha256."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipeline_lib.errors import BadData, UsageError
from pipeline_lib.files.atomic import atomic_folder
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.harness.line import read_line
from pipeline_lib.registry.closure import Closure, read_closure
from pipeline_lib.registry.dvc_cache import dvc_cache
from pipeline_lib.release.croissant import croissant
from pipeline_lib.release.datasheet import Facts, datasheet
from pipeline_lib.release.datasheet_answers import check_classes, read_about
from pipeline_lib.release.frozen import FrozenFile, as_checksums, freeze, freeze_file
from pipeline_lib.settings import Settings
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.manifest import MANIFEST

FOLDER = Path("releases")
ABOUT = Path("curation/datasheet.yaml")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}")
SEMANTIC = re.compile(r"(\d+\.\d+\.\d+)$")
DATA_STAGES = ("discover", "download", "inspect", "curate")
FIRST = "1.0.0"  # of a name that does not end in a version


@dataclass(frozen=True)
class Released:
    """What was written. n_kept: images of the selections."""

    folder: Path
    files: tuple[FrozenFile, ...]
    n_kept: int


def check_name(name: str, checkout: Path) -> None:
    """Raise UsageError for a name that is taken or cannot be a folder and a tag."""
    if not NAME.fullmatch(name) or ".." in name or name.endswith((".", ".lock")):
        remedy = "use lower-case letters, digits, dots, dashes and underscores, digits-1.0.0 say"
        raise UsageError("not a name for a release", file="NAME", value=name, remedy=remedy)
    if (checkout / FOLDER / name).exists():
        raise UsageError(
            "the name is taken",
            file=FOLDER / name,
            remedy="choose another; a release never changes",
        )


def write_release(
    name: str, *, checkout: Path, settings: Settings, commit: str, published: date
) -> Released:
    """Verify the line against dvc.lock and write the folder.

    Raises BadData when there is no finished run, a file is not the one of dvc.lock or the datasheet is of other data,
    ConfigError for a datasheet that is not filled in.
    """
    closure = read_closure(checkout)
    roles = {Path(path).stem for receipt in closure.stages.values() for path in receipt.outs}
    if not {"manifest", "shards", "profile"} <= roles:
        raise BadData(
            "the receipt is of an older line", file=checkout / "dvc.lock", remedy="run `dvc repro`"
        )
    _refuse_older(checkout, closure)
    sources = _sources(closure)
    about = read_about(checkout / ABOUT, sources)
    line = read_line(checkout)
    # before the shards are hashed, which takes long: whether the words are about these classes
    freeze_file("classes", checkout, *closure.out("classes"))
    classes = read_classes(line.path("classes"))
    check_classes(about, checkout / ABOUT, classes["class_id"])
    files = freeze(checkout, closure, dvc_cache(checkout, settings), settings)
    facts = Facts(
        name=name,
        commit=commit,
        version=version_of(name),
        published=published.isoformat(),
        about=about,
        files=files,
        sources=sources,
        manifest=MANIFEST.read(line.path("manifest")),
        classes=classes,
        figures=json.loads(line.path("curation").read_text(encoding="utf-8")),
        params=closure.stages["curate"].params.get("curate") or {},
    )
    folder = checkout / FOLDER / name
    with atomic_folder(folder) as partial:
        (partial / "croissant.json").write_text(
            croissant(about, files, version=facts.version, published=published), encoding="utf-8"
        )
        (partial / "datasheet.md").write_text(datasheet(facts), encoding="utf-8")
        (partial / "checksums.sha256").write_text(as_checksums(files), encoding="utf-8")
    return Released(folder, files, int((facts.manifest["decision"] == "keep").sum()))


def _refuse_older(checkout: Path, closure: Closure) -> None:
    """Raise BadData when a parameter or a file that people edit is newer than the run."""
    params = read_yaml(checkout / "params.yaml")
    changed = [
        f"params of {stage}"
        for stage in DATA_STAGES
        if closure.stages[stage].params.get(stage) != params.get(stage)
    ]
    for path, md5 in closure.stages["curate"].deps.items():
        if (
            path.startswith("curation/")
            and hashlib.md5(_bytes(checkout / path), usedforsecurity=False).hexdigest() != md5
        ):
            changed.append(path)
    if changed:
        what = "the run is older than what it was made from"
        raise BadData(
            what,
            file=checkout / "dvc.lock",
            value=", ".join(changed),
            remedy="run `dvc repro` and commit",
        )


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def version_of(name: str) -> str:
    """The version at the end of a name, digits-1.2.0 say; else 1.0.0."""
    found = SEMANTIC.search(name)
    return found[1] if found else FIRST


def _sources(closure: Closure) -> dict[str, str]:
    """name -> address, as discovered."""
    return {
        s["name"]: str(s["uri"])
        for s in closure.stages["discover"].params.get("discover", {}).get("sources", [])
    }
