"""The columns by which test images can be grouped, and their names in `register.slices`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

ANNOTATOR, SHORT_SIDE = "annotator", "short_side_px"
GROUPS, EXTRAS = "groups", "extras"
GROUPS_FILE: Final = Path("curation/groups.csv")
DEFAULT: Final = (
    "source",
    "format",
    SHORT_SIDE,
    "luminance_p50",
    "label_source",
    "flags",
    ANNOTATOR,
    GROUPS,
)
TITLES: Final[Mapping[str, str]] = {
    SHORT_SIDE: "shorter side, px",
    "luminance_p50": "brightness (median of luminance, 0 to 255)",
    "label_source": "who decided the label",
    "flags": "remarks",
}
# What tells an image from every other, what is the same for all test images, and what its class already says.
NO_GROUPS: Final = frozenset(
    {"image_id", "sha256", "shard", "row_in_shard", "pixel_hash", "phash", "phash_variants", "group_id", "dup_group"}
    | {"class_id", "split", "weight", "decision", "reason", "refusal", "detail"}
)  # fmt: skip


def of_manifest() -> tuple[str, ...]:
    """The columns of the manifest by which images can be grouped."""
    from pipeline_lib.tables.manifest import MANIFEST

    return tuple(one.name for one in MANIFEST.columns if one.name not in NO_GROUPS)


def of_images() -> tuple[str, ...]:
    """The columns of images.parquet that the manifest lacks."""
    from pipeline_lib.tables.images import IMAGES

    taken = {*of_manifest(), *NO_GROUPS}
    return tuple(one.name for one in IMAGES.columns if one.name not in taken)


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError naming the nearest column for each name that is none. Columns of files are checked with them."""
    known = (*of_manifest(), *of_images(), SHORT_SIDE, ANNOTATOR, GROUPS)
    for name in names:
        place, dot, column = name.partition(".")
        if name not in known and not (place in (GROUPS, EXTRAS) and dot and column):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.3)
            nearest = f", nearest is {near[0]}" if near else ""
            others = f"{GROUPS}.NAME for a column of {GROUPS_FILE}, {EXTRAS}.NAME for one of the labels file"
            raise ValueError(f"no column {name}{nearest} ({others})")


def nearest_of(name: str, known: Iterable[str]) -> str:
    """The known names in words, the nearest first."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.3)
    rest = [one for one in names if one not in near]
    return ", ".join([*near, *rest][:10]) or "none"
