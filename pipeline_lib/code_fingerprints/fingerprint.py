"""The fingerprint of a stage: a line per source file that can change its bytes, with the digest of its normal form.

`discover`, which always runs, writes one file per stage; dvc.yaml names it as the stage's only dependency on code.
It is text, so that `diff` says which module changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline_lib.code_fingerprints import normal_form
from pipeline_lib.code_fingerprints.coverage import Import, by_file, module_files, modules_of
from pipeline_lib.code_fingerprints.normal_form import c_form, python_form
from pipeline_lib.errors import BadData, Interrupted
from pipeline_lib.files.atomic import write_text

FINGERPRINT = "code_of_"  # begins the role of a fingerprint, and the name of its file; the stage's name follows
LIBRARY = Path(__file__).parents[1]
DIGITS = 32


def write_fingerprints(writes: Mapping[str, Path], state_folder: Path) -> None:
    """Write the fingerprints that are outs of a stage, by role. Raises BadData if a module is not Python."""
    roles = [role for role in writes if role.startswith(FINGERPRINT)]
    code = Code(LIBRARY, state_folder)
    for role in roles:
        write_text(writes[role], code.fingerprint(role.removeprefix(FINGERPRINT)))
    code.keep()


def check_fingerprint(stage: str, reads: Mapping[str, Path], state_folder: Path) -> None:
    """Raise Interrupted if the stage's code no longer matches the fingerprint that `discover` wrote.

    An edit while earlier stages ran, or `dvc repro --single-item`: the result would be locked, and kept in DVC's
    run-cache, as that of other code.
    """
    file = reads.get(FINGERPRINT + stage)
    if file is None or not file.exists():  # a stage that is run without DVC
        return
    now, then = fingerprint(stage, state_folder), file.read_text(encoding="utf-8")
    if now != then:
        remedy = "run `dvc repro`, which reads the code again and keeps finished work"
        changed = differing(then, now)
        raise Interrupted(
            f"the code of {stage} changed after `discover`", file=changed[0], remedy=remedy
        )


def fingerprint(stage: str, state_folder: Path | None = None, library: Path = LIBRARY) -> str:
    """A line per source file: digest, two spaces, path below the repository; sorted by path.

    state_folder: where digests of files seen before are kept; without it every file is parsed.
    """
    code = Code(library, state_folder)
    text = code.fingerprint(stage)
    code.keep()
    return text


def readers_of_source(stage: str) -> list[str]:
    """The modules of a stage that read docstrings, descriptions or annotations: they make its fingerprint literal."""
    code = Code(LIBRARY, None)
    return code.readers_of_source(sorted(code.modules_of(stage)))


def differing(one: str, other: str) -> list[str]:
    """The paths whose digests differ between two fingerprints, or that one of them lacks."""
    lines = set(one.splitlines()) ^ set(other.splitlines())
    return sorted({line.partition("  ")[2] for line in lines})


class Code:
    """The sources below a library folder, each read once. Parsing takes half a second: what came of it is kept."""

    def __init__(self, library: Path, state_folder: Path | None) -> None:
        self.library, self.files = library, module_files(library)
        self.place = state_folder / "code_forms.json" if state_folder else None
        self.known = _read_kept(self.place)
        self.used: dict[str, Any] = {}
        self.read: dict[Path, dict[str, Any]] = {}

    def fingerprint(self, stage: str) -> str:
        """The text for one stage."""
        modules = self.modules_of(stage)
        raw = any(self.readers_of_source(modules))
        packages = {
            module: self.files[module] for module in modules if not self._facts(module)["is_empty"]
        }
        lines = []
        for file in by_file(packages, self.files):
            lines.append(
                (file.relative_to(self.library.parent).as_posix(), self._digest(file, raw=raw))
            )
        return "".join(f"{digest}  {path}\n" for path, digest in sorted(lines))

    def readers_of_source(self, modules: Iterable[str]) -> list[str]:
        """The modules that may read docstrings, descriptions or annotations when they run, those of others too."""
        return [module for module in modules if self._facts(module)["reads_source"]]

    def modules_of(self, stage: str) -> set[str]:
        """All modules that can change the bytes of a stage."""
        return modules_of(stage, self.files, self._imports_of)

    def keep(self) -> None:
        """Keep the facts for the next run, if there are new ones."""
        if self.place and self.used.keys() - self.known.keys():
            write_text(self.place, json.dumps({"of": _version(), "facts": self.used}))

    def _imports_of(self, module: str) -> list[Import]:
        return [(name, imported) for name, imported in self._facts(module)["imports"]]

    def _digest(self, file: Path, *, raw: bool) -> str:
        if file.suffix == ".py" and not raw:
            return str(self._facts_of(file)["digest"])
        content = file.read_bytes()
        return _short(
            c_form(content.decode()).encode()
            if file.suffix in (".c", ".h") and not raw
            else content
        )

    def _facts(self, module: str) -> dict[str, Any]:
        return self._facts_of(self.files[module])

    def _facts_of(self, file: Path) -> dict[str, Any]:
        """digest, imports, reads_source and is_empty of a module. Raises BadData when it is no Python."""
        if file not in self.read:
            content = file.read_bytes()
            package = ".".join(file.relative_to(self.library.parent).parent.parts)
            key = hashlib.sha256(package.encode() + b"\0" + content).hexdigest()
            self.used[key] = self.read[file] = self.known.get(key) or _parsed(
                content, file, package
            )
        return self.read[file]


def _parsed(content: bytes, file: Path, package: str) -> dict[str, Any]:
    try:
        form = python_form(content, package)
    except SyntaxError as error:
        remedy = f"correct that line, or bring the file back with `git checkout -- {file}`"
        raise BadData(
            "not Python", file=f"{file}:{error.lineno}", value=error.msg, remedy=remedy
        ) from error
    ours = [one for one in form.imports if one[0].startswith("pipeline_lib")]
    return {
        "digest": _short(form.text.encode()),
        "imports": ours,
        "reads_source": form.reads_source,
        "is_empty": form.is_empty,
    }


def _read_kept(place: Path | None) -> dict[str, Any]:
    """Return the facts that an earlier run kept; none if they cannot be read or have another form."""
    try:
        kept = json.loads(place.read_text(encoding="utf-8")) if place else {}
    except (FileNotFoundError, ValueError):
        return {}
    return dict(kept["facts"]) if isinstance(kept, dict) and kept.get("of") == _version() else {}


def _version() -> str:
    return _short(Path(normal_form.__file__).read_bytes())


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGITS]
