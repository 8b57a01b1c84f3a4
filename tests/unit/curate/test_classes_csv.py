import re
from pathlib import Path

import pandas as pd
import pytest

from pipeline_lib.curate.classes import (
    ClassWords,
    ancestors,
    check_leaves,
    names_of,
    parse_class_words,
)
from pipeline_lib.curate.decide import curate
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.errors import ConfigError, DataCheckFailed
from pipeline_lib.files.csv_cells import frame_as_csv
from pipeline_lib.tables.classes import read_classes
from tests.unit.curate.made_tables import CLASS_WORDS, WORDS_HEADER, MadeImage, make_found

IMAGENET = """\
n02012849,crane,"large long-necked wading bird of marshes and plains",n01503061
n03126707,crane,lifts and moves heavy objects,n00004258
n01503061,bird,"warm-blooded egg-laying vertebrates, feathered",n00004258
n00004258,entity,,
n02084071,dog,,n00004258; n01503061
"""
IMAGES = [
    MadeImage(f"s/{name}{n}", name)
    for name in ("n02012849", "n03126707", "n02084071")
    for n in range(16)
]


def parse(lines: str) -> dict[str, ClassWords]:
    return parse_class_words(WORDS_HEADER + lines, CLASS_WORDS)


def test_a_class_may_have_several_parents_and_all_above_them_are_ancestors() -> None:
    assert ancestors("n02084071", parse(IMAGENET)) == {"n00004258", "n01503061"}
    assert ancestors("not listed", parse(IMAGENET)) == set()


def test_names_of_classes_are_made_unique_by_their_ids() -> None:
    used = ["n02012849", "n03126707", "n02084071", "unlisted"]

    assert names_of(used, parse(IMAGENET)) == {
        "n02012849": "crane (n02012849)",
        "n03126707": "crane (n03126707)",
        "n02084071": "dog",
        "unlisted": "unlisted",
    }


def test_the_table_of_classes_has_the_names_in_words() -> None:
    curated = curate(make_found(IMAGES, class_words=IMAGENET), CurateParams(max_label_issue_rate=1))

    assert curated.classes["name"].to_list() == ["crane (n02012849)", "dog", "crane (n03126707)"]


def test_a_class_above_another_in_use_stops_the_line() -> None:
    birds = [MadeImage(f"s/bird{n}", "n01503061") for n in range(16)]

    with pytest.raises(DataCheckFailed) as caught:
        curate(
            make_found([*IMAGES, *birds], class_words=IMAGENET),
            CurateParams(max_label_issue_rate=1),
        )

    assert str(caught.value) == (
        "curation/classes.csv: classes in use lie above others in use (found: n01503061 above n02012849, "
        "n01503061 above n02084071). Remedy: merge_class or exclude_class one of each in curation/overrides.csv, "
        "or fix `parents`"
    )


def test_leaves_that_share_a_parent_are_fine() -> None:
    check_leaves(["n02012849", "n03126707", "n02084071"], parse(IMAGENET), CLASS_WORDS)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("a,b,c\n", "line 2: 3 cells instead of 4"),
        (",b,c,d\n", "line 2: the class_id is empty"),
        ("a,,,\na,,,\n", "line 3: class 'a' stands there twice"),
        ("a,,,b\n", "a: no class 'b' to be its parent"),
        (
            "a,,,b\nb,,,a\nc,,,a\n",
            "(found: a: is an ancestor of itself; b: is an ancestor of itself)",
        ),
        ('a,"b,,\n', "line 2: unexpected end of data"),
    ],
)
def test_a_malformed_line_is_named(lines: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(fault)):
        parse(lines)


def test_other_columns_are_refused() -> None:
    with pytest.raises(
        ConfigError,
        match=r"classes.csv:1: the columns are wrong \(found: wnid,words\). Remedy: make its",
    ):
        parse_class_words("wnid,words\n", CLASS_WORDS)


def test_names_that_a_spreadsheet_would_run_are_guarded_and_read_back(tmp_path: Path) -> None:
    names = ["=cmd|'/c calc'!A1", "-1", "@x", "plain", "007"]
    table = pd.DataFrame(
        {"label": range(5), "class_id": names, "name": names, "n_train": 1, "n_val": 1, "n_test": 1}
    )
    (tmp_path / "classes.csv").write_text(frame_as_csv(table))

    cells = [line.split(",")[1] for line in (tmp_path / "classes.csv").read_text().splitlines()[1:]]

    assert cells == ["'=cmd|'/c calc'!A1", "'-1", "'@x", "plain", "007"]
    assert read_classes(tmp_path / "classes.csv")["name"].to_list() == names
