"""The receipts in dvc.lock: what each stage was run with and what came out, by md5."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline_lib.errors import BadData
from pipeline_lib.files.yaml_files import read_yaml


@dataclass(frozen=True)
class StageReceipt:
    """One stage's entry. deps, outs: path -> DVC's md5 (ending in `.dir` for a folder). params: its section."""

    cmd: str
    deps: Mapping[str, str]
    params: Mapping[str, Any]
    outs: Mapping[str, str]


@dataclass(frozen=True)
class Closure:
    """The receipts of a whole line, stage by stage, in the order of dvc.lock."""

    stages: Mapping[str, StageReceipt]

    def md5_of(self, role: str) -> str:
        """md5 of the out whose file name without its ending is `role`. Raises KeyError when there is none."""
        return self.out(role)[1]

    def out(self, role: str) -> tuple[str, str]:
        """Path and md5 of an out, by role. Raises KeyError when there is none."""
        for receipt in self.stages.values():
            for path, md5 in receipt.outs.items():
                if Path(path).stem == role:
                    return path, md5
        raise KeyError(role)

    def without(self, stage: str) -> Closure:
        """The closure without one stage."""
        return Closure({name: receipt for name, receipt in self.stages.items() if name != stage})

    def as_json(self) -> str:
        """Canonical JSON, the form kept with an attempt and a version."""
        return json.dumps(
            {name: asdict(receipt) for name, receipt in self.stages.items()}, separators=(",", ":")
        )


def closure_from_json(text: str) -> Closure:
    """The inverse of `Closure.as_json`."""
    return Closure({name: StageReceipt(**receipt) for name, receipt in json.loads(text).items()})


def read_closure(checkout: Path) -> Closure:
    """Read dvc.lock of a checkout. Raises BadData when it is absent or does not reach `evaluate`."""
    path = checkout / "dvc.lock"
    if not path.exists():
        raise BadData(
            "there is no receipt of the line yet",
            file=path,
            remedy="run `dvc repro`, which writes it",
        )
    return _closure(read_yaml(path), path)


def closure_in(text: str, *, file: str) -> Closure:
    """Read the text of a dvc.lock of the past. file: what it is called in errors. Raises BadData as `read_closure`."""
    return _closure(YAML(typ="safe", pure=True).load(text) or {}, file)


def _closure(content: Mapping[str, Any], file: Path | str) -> Closure:
    stages = content.get("stages") or {}
    if "evaluate" not in stages:
        raise BadData(
            "the receipt does not reach evaluate",
            file=file,
            value=", ".join(stages),
            remedy="run `dvc repro`",
        )
    return Closure({name: _receipt(entry) for name, entry in stages.items()})


def _receipt(entry: Mapping[str, Any]) -> StageReceipt:
    params = {
        key: value for file in (entry.get("params") or {}).values() for key, value in file.items()
    }
    return StageReceipt(
        str(entry["cmd"]), _hashes(entry.get("deps")), params, _hashes(entry.get("outs"))
    )


def _hashes(entries: list[Mapping[str, Any]] | None) -> dict[str, str]:
    """path -> hash; S3 outs carry an etag instead of an md5."""
    return {
        str(entry["path"]): str(entry.get("md5") or entry.get("etag") or "")
        for entry in entries or ()
    }
