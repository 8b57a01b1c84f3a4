"""Answer `perennial lineage REF`: a registered version, a file of the line, or an md5."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline_lib.errors import UsageError
from pipeline_lib.lineage.lineage import Fact, Lineage, Step
from pipeline_lib.lineage.receipts import made_from, made_with, md5_at, paths_of, steps_to_weights
from pipeline_lib.registry import Registry, Version, load_registry, records
from pipeline_lib.registry.closure import Closure, read_closure
from pipeline_lib.settings import Settings

MD5 = re.compile(r"[0-9a-f]{6,32}(\.dir)?")


def lineage_of(ref: str, *, checkout: Path, settings: Settings) -> Lineage:
    """The lineage of `champion`, `3`, `models:/name@alias`, a path of the line, or the beginning of an md5.

    Raises UsageError when nothing of that name is known.
    """
    registry = load_registry(settings, checkout)
    path = _line_path(ref, checkout)
    if path is not None:
        return _of_file(ref, path, None, checkout=checkout, registry=registry)
    if MD5.fullmatch(ref) and not ref.isdigit():
        return _of_file(ref, None, ref, checkout=checkout, registry=registry)
    return lineage_of_version(registry.version(ref), ref)


def lineage_of_version(version: Version, ref: str) -> Lineage:
    """From the registry down to the source, out of the receipts stored with the version."""
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    facts = (
        Fact("verdict", version.verdict.sentence),
        Fact("source", version.source),
        Fact("registration key", version.tags[records.KEY]),
    )
    top = Step("registry version", "register", facts)
    dirty = version.tags.get(records.DIRTY) == "true"
    below = steps_to_weights(
        version.closure,
        commit=version.tags.get(records.COMMIT, ""),
        dirty=dirty,
        trained_on=version.tags.get(records.TRAINED_ON, ""),
    )
    return Lineage(ref, f"{version.name} version {version.number}{aliases}", (top, *below))


def _of_file(
    ref: str, path: str | None, md5: str | None, *, checkout: Path, registry: Registry
) -> Lineage:
    """Look in today's dvc.lock first, then in the receipts of the versions, newest first."""
    versions = registry.known_versions()
    today = [read_closure(checkout)] if (checkout / "dvc.lock").exists() else []
    closures = today + [version.closure for version in reversed(versions)]
    for closure in closures:
        found = path if md5 is None else next(iter(paths_of(closure, md5)), None)
        hash_ = md5_at(closure, found) if found else None
        if found and hash_:
            break
    else:
        remedy = "name a file of the line (`dvc dag --outs` lists them), an md5 from dvc.lock, or a version such as champion"
        raise UsageError("no receipt mentions it", file=ref, remedy=remedy)
    models = tuple(
        _model_step(version) for version in versions if _depends(version.closure, found, hash_)
    )
    steps = made_from(closure, found) or (Step("given", "", (Fact(found, hash_, md5=True),)),)
    return Lineage(ref, f"{found}  md5 {hash_}", steps, (*made_with(closure, found), *models))


def _depends(closure: Closure, path: str, md5: str) -> bool:
    return md5_at(closure, path) == md5


def _model_step(version: Version) -> Step:
    aliases = ", ".join(version.aliases) or "no alias"
    return Step(
        f"{version.name} version {version.number}",
        "register",
        (Fact("aliases", aliases), Fact("source", version.source)),
    )


def _line_path(ref: str, checkout: Path) -> str | None:
    """The path below the checkout, as dvc.lock writes it, when `ref` looks like one."""
    path = Path(ref) if Path(ref).is_absolute() else Path.cwd() / ref
    if "/" not in ref and not path.exists():
        return None
    if ref.startswith("models:/") or re.fullmatch(r"[a-z0-9-]+/[0-9]+", ref):
        return None
    try:
        return path.resolve().relative_to(checkout.resolve()).as_posix()
    except ValueError:
        return None
