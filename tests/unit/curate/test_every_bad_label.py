"""Row 14 of the acceptance table, the side of labels and tables: each case with its exact reason code or error.

Images: tests/unit/inspect/test_every_bad_image.py. Votes and subjects files:
tests/unit/download/test_votes_and_subjects.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from pipeline_lib.curate.decide import Curated, curate
from pipeline_lib.curate.overrides import parse_overrides
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.errors import ConfigError, DataCheckFailed
from tests.unit.curate.made_tables import HEADER, OVERRIDES, MadeImage, make_found

GOOD = [MadeImage(f"s/{label}{n}", label=label) for label in ("3", "cat") for n in range(20)]
LISTED = CurateParams(classes=("3", "cat"), max_label_issue_rate=1)
TRAIN: dict[str, Any] = {"split": "train"}

BAD_LABELS = {
    "absent": (None, "quarantine", "label_missing"),
    "empty": ("", "quarantine", "label_missing"),
    "white space alone": (" \t", "quarantine", "label_missing"),
    "white space around": (" cat ", "keep", None),
    "the text nan": ("nan", "remove", "label_unknown"),
    "another case": ("Cat", "remove", "label_unknown"),
    "a float for an int": ("3.0", "remove", "label_unknown"),
    "a leading zero": ("03", "remove", "label_unknown"),
    "an index for a name": ("1", "remove", "label_unknown"),
    "outside the list": ("dog", "remove", "label_unknown"),
    "a formula": ("=cmd|' /c calc'!A1", "remove", "label_unknown"),
    "a script": ("<script>alert(1)</script>", "remove", "label_unknown"),
    "another alphabet's c": ("сat", "remove", "label_unknown"),
}


@pytest.fixture(scope="module")
def decided() -> Curated:
    """Every bad label in one set, its image named by the case."""
    bad = [MadeImage(f"s/{case}", label=label) for case, (label, _, _) in BAD_LABELS.items()]
    return curate(make_found([*GOOD, *bad]), LISTED)


@pytest.mark.parametrize("case", BAD_LABELS)
def test_a_bad_label_has_its_exact_code_and_makes_no_class(decided: Curated, case: str) -> None:
    row = decided.manifest.set_index("image_id").loc[f"s/{case}"]

    _, decision, reason = BAD_LABELS[case]
    assert row["decision"] == decision
    assert row["reason"] == reason or (reason is None and row[["reason"]].isna().all())
    assert decided.classes["class_id"].to_list() == ["3", "cat"]


def test_the_ledger_balances_over_all_bad_labels(decided: Curated) -> None:
    ledger = decided.statistics["ledger"]

    assert ledger["discovered"] == len(GOOD) + len(BAD_LABELS) == decided.balance["n"].sum()
    assert ledger["discovered"] == ledger["kept"] + ledger["quarantined"] + ledger["removed"]


def test_one_image_with_two_labels_is_quarantined_in_training_unless_votes_decide() -> None:
    twins = [
        MadeImage("s/x", "cat", looks="same", **TRAIN),
        MadeImage("s/y", "3", looks="same", **TRAIN),
    ]
    ends = [MadeImage("s/v", "cat", split="val"), MadeImage("s/t", "cat", split="test")]
    votes = [(f"s/{name}", who, "cat") for name in ("x", "y") for who in ("ana", "ben", "cleo")]
    votes += [
        (p.image_id, who, str(p.label)) for p in GOOD[15:25] for who in ("ana", "ben", "cleo")
    ]

    alone = curate(make_found([*GOOD, *twins, *ends]), LISTED).manifest.set_index("image_id")
    voted = curate(make_found([*GOOD, *twins, *ends], votes=votes), LISTED).manifest.set_index(
        "image_id"
    )

    assert alone.loc[["s/x", "s/y"], "reason"].to_list() == ["label_conflict", "label_conflict"]
    assert voted.loc[["s/x", "s/y"], "class_id"].to_list() == ["cat", "cat"]
    assert voted.loc["s/x", "decision"] == "keep" and voted.loc["s/y", "reason"] == "duplicate"


def test_a_class_of_one_image_is_dropped_kept_out_or_refused_and_a_listed_class_without_any_is_counted() -> (
    None
):
    images = [
        *GOOD,
        MadeImage("s/one", "emu", **TRAIN),
        MadeImage("s/v", split="val"),
        MadeImage("s/t", split="test"),
    ]
    names = ("3", "cat", "emu", "gnu")

    dropped = curate(make_found(images), CurateParams(classes=names, max_label_issue_rate=1))
    with pytest.raises(
        DataCheckFailed, match=r"1 classes have fewer than 2 training images \(found: emu: 1\)"
    ):
        curate(
            make_found(images),
            CurateParams(classes=names, small_classes="fail", max_label_issue_rate=1),
        )

    assert dropped.manifest.set_index("image_id").loc["s/one", "reason"] == "class_too_small"
    assert dropped.statistics["classes"]["absent"] == 2


LINE = "image_id,s/x,keep,,,why,me,2026-11-21"


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + LINE + "\n",  # byte order mark
        (HEADER + LINE + "\n").replace("\n", "\r\n"),
        HEADER + '"image_id","s/x","keep","","","why, oh why","me",""\n',
        HEADER + LINE,  # no last line break
    ],
)
def test_what_spreadsheets_do_to_a_csv_is_read(text: str) -> None:
    (found,) = parse_overrides(text, OVERRIDES)

    assert (found.line, found.key, found.action) == (2, "s/x", "keep")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", r"found: \)|the columns are wrong\. "),
        (LINE + "\n", "found: image_id,s/x,keep"),  # header-less
        (HEADER.replace(",", ";"), "found: key_type;key;action"),
        (HEADER.replace("reason", "note"), "found: key_type,key,action,value,expected_old,note"),
        (HEADER.replace("key,", "key,key,"), "found: key_type,key,key,action"),
    ],
)
def test_a_file_with_other_columns_is_refused_with_its_first_line(text: str, found: str) -> None:
    with pytest.raises(ConfigError, match=found) as caught:
        parse_overrides(text, OVERRIDES)

    assert str(caught.value).startswith("curation/overrides.csv:1: the columns are wrong")
    assert caught.value.remedy == f"make its first line `{HEADER.strip()}`"
