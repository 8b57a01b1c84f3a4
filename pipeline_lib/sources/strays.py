"""Folders that came to a source whose layout params.yaml states, and that are probably none of its classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline_lib.sources.layout import LAYOUTS, layout_of_folders
from pipeline_lib.sources.set_aside import FEW, NEVER_CLASSES, path_pattern
from pipeline_lib.sources.source import Source


def stray_folders(source: Source, names: Sequence[str]) -> dict[str, str]:
    """Pattern of `exclude` -> why its folder is doubtful, for the images of a source that is read as `layout` states.

    Beside the folders of `splits`; outside of the folders that `depth` skips, where nearly all images lie in one; or named
    like documentation, where it would be a class.
    """
    folders = Counter(tuple(name.split("/")[:-1]) for name in names)
    layout = layout_of_folders(list(folders), source.layout, source.splits, source.depth)
    at = layout.depth
    found: dict[str, str] = {}
    if source.depth:
        heads = Counter[tuple[str, ...]]()
        for path, n in folders.items():
            heads[path[:at]] += n
        main, n_main = heads.most_common(1)[0]
        if n_main >= (1 - FEW) * heads.total():
            found |= {
                path_pattern("/".join(head)): f"{n} images lie outside of {'/'.join(main)}"
                for head, n in heads.items()
                if head not in (main, ())
            }
    splits = source.splits or {}
    if splits and LAYOUTS[layout.kind].split_at == 0:
        beside = [path[: at + 1] for path in folders if len(path) > at and path[at] not in splits]
        found |= {path_pattern(*path): "`splits` does not name it" for path in beside}
    elif source.splits is None and layout.kind in ("class_folders", "split_class_folders"):
        at += LAYOUTS[layout.kind].split_at == 0
        named = [path[: at + 1] for path in folders if len(path) > at]
        found |= {
            path_pattern(*path): "it would be a class"
            for path in named
            if path[at].lower() in NEVER_CLASSES
        }
    return dict(sorted(found.items()))
