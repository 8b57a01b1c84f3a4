"""How many images and labels changed between two nights, by their manifests.

A count is a pure function of two manifests, so it is remembered by their md5: comparing a thousand nights again for each
page would take minutes. The memo holds numbers only and may be deleted at any time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

from pipeline_lib.errors import BadData
from pipeline_lib.files.atomic import private_folder, write_text
from pipeline_lib.history.night import ChangeCounts
from pipeline_lib.registry.dvc_cache import DvcCache

MEMO_VERSION = 1  # raised when a count means something else
Outs = Mapping[str, tuple[str, str]]  # role -> (path, md5)
NOT_READABLE = "images and labels changed: a manifest cannot be read"
NOT_IN_CACHE = "images and labels changed: a manifest is no longer in DVC's cache"
NOT_COUNTED = "images and labels changed: not counted yet (`perennial history` counts them)"


class Changes:
    """Counts of changes. state_folder: where they are remembered."""

    def __init__(self, cache: DvcCache, state_folder: Path) -> None:
        self.cache = cache
        self.memo = state_folder / "history" / f"changes-{MEMO_VERSION}.json"

    def count(
        self, pairs: Sequence[tuple[Outs, Outs]], *, most: int | None = None
    ) -> list[ChangeCounts | str]:
        """The changes of each pair of nights (then, now), or why they are not known. most: counts that are made anew."""
        known: dict[str, list[int]] = {}
        if self.memo.exists():
            known = json.loads(self.memo.read_text(encoding="utf-8"))
        keys = [f"{_key(then)} {_key(now)}" for then, now in pairs]
        left = len(pairs) if most is None else most
        found: dict[str, ChangeCounts | str] = {}
        n_before = len(known)
        for key, (then, now) in reversed(list(zip(keys, pairs, strict=True))):
            if key in found:
                continue
            if key in known:
                found[key] = ChangeCounts(*known[key])
            elif not self._is_there(then) or not self._is_there(now):
                found[key] = NOT_IN_CACHE
            elif left <= 0:
                found[key] = NOT_COUNTED
            else:
                left -= 1
                try:
                    counted = self._compare(then, now)
                except BadData:  # of another release, or damaged: a night of the past stops no run
                    found[key] = NOT_READABLE
                    continue
                found[key] = counted
                known[key] = list(astuple(counted))
        if len(known) != n_before:
            private_folder(self.memo.parent.parent)
            self.memo.parent.mkdir(exist_ok=True)
            wanted = {key: known[key] for key in dict.fromkeys(keys) if key in known}
            write_text(self.memo, json.dumps(wanted))
        return [found[key] for key in keys]

    def _is_there(self, outs: Outs) -> bool:
        return self.cache.find(outs["manifest"][1]) is not None

    def _compare(self, then: Outs, now: Outs) -> ChangeCounts:
        from pipeline_lib.compare.classes import renames  # with pandas
        from pipeline_lib.compare.data import data_changes, read_manifest

        before, after = (
            read_manifest(self.cache.object(outs["manifest"][1])) for outs in (then, now)
        )
        profiles = [
            self.cache.find(outs["profile"][1]) if "profile" in outs else None
            for outs in (then, now)
        ]
        names = sorted(set(before["class_id"]) - {""})
        changes = data_changes(before, after, renames(names, *profiles))
        return ChangeCounts(
            added=len(changes.added),
            withdrawn=len(changes.withdrawn),
            replaced=len(changes.replaced),
            moved=len(changes.moved),
            labels=len(changes.labels),
            kept_before=changes.n_kept_before,
            kept_now=changes.n_kept_now,
        )


def _key(outs: Outs) -> str:
    return f"{outs['manifest'][1]}:{outs['profile'][1] if 'profile' in outs else ''}"
