"""What is evaluated of extra test sets: selection/extra.parquet, and whether predictions are chosen among a set's classes."""

from __future__ import annotations

import re

import pandas as pd

from pipeline_lib.curate.extra_tests import ExtraTests
from pipeline_lib.sources.source import Source
from pipeline_lib.tables.extra_tests import EXTRA_TESTS

WNID = re.compile(r"n\d{8}")
_BLANK = "(?: |%20)"
# How ImageNet-A and ImageNet-R name their images: what a network saw and took it for, and the kind of rendition.
KNOWN_TO_BE_RESTRICTED = (
    re.compile(rf"\d[\d.e-]*_.+{_BLANK}_{_BLANK}.+_\d[\d.e-]*\.\w+"),
    re.compile(
        r"(art|cartoon|deviantart|embroidery|graffiti|graphic|misc|origami|painting|sculpture|sketch|sticker|tattoo|toy"
        r"|videogame)_\d+\.\w+"
    ),
)


def extra_selection(extra: ExtraTests, classes: pd.DataFrame) -> pd.DataFrame:
    """The kept rows in the columns of EXTRA_TESTS. classes: classes.csv."""
    kept = extra.kept
    if kept.empty:
        return EXTRA_TESTS.empty()
    label_of = dict(zip(classes["class_id"], classes["label"], strict=True))
    restricted = {one.name: _is_restricted(one, kept) for one in extra.sources}
    return pd.DataFrame(
        {
            "image_id": kept.index,
            "test_set": kept["source"].to_numpy(),
            "labels": [[label_of[one] for one in names] for names in kept["accepted"]],
            "class_ids": [list(names) for names in kept["accepted"]],
            "restricted": kept["source"].map(restricted).astype(bool).to_numpy(),
        }
    )


def _is_restricted(source: Source, kept: pd.DataFrame) -> bool:
    """As the source says, else as the papers of ImageNet-A and ImageNet-R do: arXiv 1907.07174 and 2006.16241."""
    if source.restrict_to_its_classes is not None:
        return source.restrict_to_its_classes
    of_set = kept[kept["source"] == source.name]
    if not of_set["label_received"].map(lambda name: WNID.fullmatch(str(name)) is not None).all():
        return False
    names = of_set.index.str.rpartition("/").get_level_values(2)
    return any(all(map(pattern.fullmatch, names)) for pattern in KNOWN_TO_BE_RESTRICTED)
