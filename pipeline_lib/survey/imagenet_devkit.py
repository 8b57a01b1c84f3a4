"""ImageNet's synsets as lines of curation/classes.csv: from the devkit's meta.mat, or from LOC_synset_mapping.txt.

meta.mat (ILSVRC2012_devkit_t12) holds 1,860 synsets with words, gloss and children; the mapping of the Kaggle archive
1,000 with words alone. The key is the wnid: the devkit's ILSVRC2012_ID is another order than the one of sorted wnids
that networks use, and words are not unique (two synsets are called crane).
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np

from pipeline_lib.errors import BadData, SourceMissing
from pipeline_lib.labels.devkit import opened_synsets, wnid_of_id

HEADER = ("class_id", "name", "definition", "parents")
MAPPING_LINE = re.compile(r"(n\d{8})\s+(\S.*)")
REMEDY = "name the devkit's data/meta.mat, or LOC_synset_mapping.txt"


def classes_csv(file: Path) -> str:
    """The text of curation/classes.csv. Raises SourceMissing, BadData when the file is neither of the two."""
    if not file.is_file():
        raise SourceMissing("no such file", file=file, remedy=REMEDY)
    rows = _from_mat(file) if file.suffix == ".mat" else _from_mapping(file)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([HEADER, *sorted(rows)])
    return stream.getvalue()


def _from_mat(file: Path) -> list[tuple[str, str, str, str]]:
    with opened_synsets(file, shown=str(file), remedy=REMEDY) as synsets:
        wnid = wnid_of_id(synsets)
        parents: dict[str, list[str]] = {name: [] for name in wnid.values()}
        for one in synsets:
            for child in np.atleast_1d(one["children"])[: int(one["num_children"])]:
                parents[wnid[int(child)]].append(str(one["WNID"]))
        return [
            (
                str(one["WNID"]),
                _first_word(str(one["words"])),
                str(one["gloss"]),
                ";".join(sorted(parents[str(one["WNID"])])),
            )
            for one in synsets
        ]


def _from_mapping(file: Path) -> list[tuple[str, str, str, str]]:
    """Lines like `n01440764 tench, Tinca tinca`."""
    rows = []
    for number, line in enumerate(
        file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1
    ):
        found = MAPPING_LINE.fullmatch(line.strip())
        if not found:
            raise BadData(
                "not a line `wnid words`", file=f"{file}:{number}", value=line[:80], remedy=REMEDY
            )
        rows.append((found[1], _first_word(found[2]), "", ""))
    return rows


def _first_word(words: str) -> str:
    """The first of the synonyms."""
    return words.split(",")[0].strip()
