"""Keep upgrade/, from which `perennial upgrade` knows what code each release had.

    python -m scripts.write_releases                 the code as it is now, as the release `next`: after each change
    python -m scripts.write_releases --name NAME     make `next` the release NAME at HEAD, and begin a new `next`
    python -m scripts.write_releases --before COMMIT --name NAME
                                                     add a commit from before there were fingerprints

What has become of the bytes of a stage is for people to say, in upgrade/releases.toml; a contract test asks for it.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

from ruamel.yaml import YAML

from pipeline_lib.code_fingerprints import fingerprint
from pipeline_lib.files.atomic import write_text
from pipeline_lib.upgrade.releases import (
    FOLDER,
    KEPT_STAGES,
    NEXT,
    TABLE,
    as_text,
    is_code,
    read_releases,
)

ROOT = Path(__file__).parents[1]
HEAD = f'[[release]]\nname = "{NEXT}"\n'


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", help="the name of a release, such as 2026-12")
    parser.add_argument(
        "--before", metavar="COMMIT", help="a commit from before there were fingerprints"
    )
    options = parser.parse_args()
    if options.before:
        add_row(
            options.name,
            _git("rev-parse", options.before).decode().strip(),
            code_before(options.before),
        )
        return 0
    now = {stage: fingerprint(stage) for stage in KEPT_STAGES}
    write_code(NEXT, now)
    if options.name:
        write_code(options.name, now)
        table = ROOT / FOLDER / TABLE
        commit = _git("rev-parse", "HEAD").decode().strip()
        named = HEAD.replace(NEXT, options.name) + f'commit = "{commit}"\n'
        write_text(table, table.read_text(encoding="utf-8").replace(HEAD, named) + "\n" + HEAD)
    for stage in undeclared():
        print(f"say in {FOLDER / TABLE} whether the bytes of {stage} are the same", file=sys.stderr)
    return 0


def write_code(release: str, code: dict[str, str]) -> None:
    """Write a release's text of each stage."""
    for stage, text in code.items():
        write_text(ROOT / FOLDER / release / f"{stage}.txt", text)


def undeclared() -> list[str]:
    """The stages whose code is not that of the last release, and of which `next` does not say what became of them."""
    *_, last, following = read_releases(ROOT)
    return [
        stage
        for stage in KEPT_STAGES
        if last.code[stage] != following.code[stage] and stage not in following.said
    ]


def add_row(name: str, commit: str, code: dict[str, str]) -> None:
    """Put a release ahead of `next`, which follows it."""
    write_code(name, code)
    table = ROOT / FOLDER / TABLE
    text = table.read_text(encoding="utf-8")
    write_text(
        table, text.replace(HEAD, f'[[release]]\nname = "{name}"\ncommit = "{commit}"\n\n{HEAD}')
    )


def code_before(commit: str) -> dict[str, str]:
    """stage -> the lines that dvc.lock had for the code deps of a commit, computed from git as DVC does from files."""
    with tarfile.open(
        fileobj=io.BytesIO(_git("archive", commit, "dvc.yaml", "pipeline_lib"))
    ) as archive:
        contents = {
            one.name: archive.extractfile(one) for one in archive.getmembers() if one.isfile()
        }
        files = {name: file.read() for name, file in contents.items() if file}
    stages = YAML(typ="safe", pure=True).load(files["dvc.yaml"].decode())["stages"]
    md5s = {
        name: hashlib.md5(content, usedforsecurity=False).hexdigest()
        for name, content in files.items()
    }
    return {
        stage: as_text({d: md5_of(d, md5s) for d in stages[stage]["deps"] if is_code(d)})
        for stage in KEPT_STAGES
    }


def md5_of(dep: str, md5s: dict[str, str]) -> str:
    """The md5 of a file; of a folder that of DVC's listing of it, with `.dir`."""
    if dep in md5s:
        return md5s[dep]
    names = sorted(name for name in md5s if PurePosixPath(dep) in PurePosixPath(name).parents)
    listing = [
        {"md5": md5s[name], "relpath": PurePosixPath(name).relative_to(dep).as_posix()}
        for name in names
    ]
    listing.sort(key=lambda entry: PurePosixPath(entry["relpath"]).parts)
    text = json.dumps(listing, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


if __name__ == "__main__":
    sys.exit(main())
