import re
from pathlib import Path

import pandas as pd
import pytest

from pipeline_lib.curate.classes import class_table, row_weights, too_small
from pipeline_lib.curate.decide import curate
from pipeline_lib.curate.ledger import check_limits, ledger
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.errors import DataCheckFailed
from tests.unit.curate.made_tables import Picture, make_found

FILE = Path("line/curate/manifest.parquet")


def kept(**sizes: tuple[int, int, int]) -> pd.DataFrame:
    """Rows of classes with (train, val, test) pictures."""
    rows = [
        (name, split)
        for name, counts in sizes.items()
        for split, n in zip(("train", "val", "test"), counts, strict=True)
        for _ in range(n)
    ]
    frame = pd.DataFrame(rows, columns=["class_id", "split"], dtype="str")
    return frame.set_index("s/" + frame.index.astype("str"))


def failure(call) -> str:
    with pytest.raises(DataCheckFailed) as caught:
        call()
    return str(caught.value)


def test_class_ids_that_are_numbers_are_ordered_as_numbers():
    table = class_table(kept(**{"10": (2, 1, 1), "9": (3, 1, 1)}), FILE)

    assert table.to_dict("list") == {
        "label": [0, 1],
        "class_id": ["9", "10"],
        "name": ["9", "10"],
        "n_train": [3, 2],
        "n_val": [1, 1],
        "n_test": [1, 1],
    }


def test_weights_are_inverse_to_class_size_with_mean_one_over_training():
    """Sizes 1 and 3: inverse weights 1 and 1/3, mean (1 + 3/3) / 4 = 1/2, so 2 and 2/3; val and test weigh 1."""
    rows = kept(a=(1, 1, 0), b=(3, 0, 1))

    weights = row_weights(rows, CurateParams(class_weights="inverse"))

    assert weights.to_list() == pytest.approx([2, 1, 2 / 3, 2 / 3, 2 / 3, 1])
    assert row_weights(rows, CurateParams()).eq(1).all()
    sqrt = row_weights(rows, CurateParams(class_weights="sqrt"))
    assert sqrt.iloc[0] / sqrt.iloc[2] == pytest.approx(3**0.5)
    assert sqrt[rows["split"] == "train"].mean() == pytest.approx(1)


def test_a_class_with_too_few_training_pictures_is_dropped_kept_or_refused():
    rows = kept(a=(5, 1, 1), b=(1, 1, 1))

    assert set(rows.loc[too_small(rows, CurateParams(), FILE), "class_id"]) == {"b"}
    assert not too_small(rows, CurateParams(small_classes="keep"), FILE).any()
    message = failure(lambda: too_small(rows, CurateParams(small_classes="fail"), FILE))
    assert "1 classes have fewer than 2 training pictures (found: b: 1). Remedy: add pictures, exclude_class" in message


def test_what_cannot_be_trained_on_is_refused():
    assert "no train picture is left. Remedy: add pictures" in failure(lambda: class_table(kept(a=(0, 1, 1)), FILE))
    assert "no train picture is left" in failure(lambda: class_table(kept(), FILE))
    no_val = failure(lambda: class_table(kept(a=(3, 0, 1)), FILE))
    assert "no val picture is left. Remedy: add pictures, raise curate.val_fraction in params.yaml, or" in no_val
    empty = failure(lambda: class_table(kept(a=(3, 1, 1), b=(0, 1, 1)), FILE))
    assert "1 classes have no training picture (found: b). Remedy:" in empty
    assert "a classifier needs two classes (found: a)" in failure(lambda: class_table(kept(a=(3, 1, 1)), FILE))


def test_the_ledger_balances_by_source():
    manifest = pd.DataFrame(
        {
            "source": ["a", "a", "b"],
            "label_received": pd.array(["x", "y", None], dtype="str"),
            "decision": ["keep", "remove", "quarantine"],
        }
    )

    found = ledger(manifest)

    assert found["by_source"]["a"] == {"discovered": 2, "kept": 1, "quarantined": 0, "removed": 1}
    assert found["discovered"] == found["kept"] + found["quarantined"] + found["removed"] == 3


def test_a_row_without_a_decision_is_our_defect():
    manifest = pd.DataFrame({"source": ["a"], "label_received": ["x"], "decision": ["maybe"]})

    with pytest.raises(AssertionError, match="neither kept nor quarantined nor removed"):
        ledger(manifest)


def test_too_much_quarantine_stops_the_line_and_names_ten_examples():
    pictures = [Picture(f"s/{n:02d}", image={"refusal": "decode_truncated"} if n < 12 else {}) for n in range(30)]

    message = failure(lambda: curate(make_found(pictures), CurateParams()))

    assert "12 of 30 pictures are quarantined, 6 are allowed (found: decode_truncated: 12; s/00, s/01," in message
    assert "s/09 and 2 more). Remedy: mend the source, or raise curate.max_quarantine_rate in params.yaml" in message


def test_leakage_stops_the_line():
    manifest = pd.DataFrame({"decision": ["keep"], "reason": [None]}, index=["s/a"])
    leaks = pd.Series([True], index=["s/a"])

    message = failure(lambda: check_limits(manifest, leaks, CurateParams(), FILE))

    assert "1 training pictures are tied to val or test, 0 are allowed (found: s/a). Remedy: remove them" in message
    check_limits(manifest, leaks, CurateParams(max_leakage=1), FILE)


def test_wrong_fractions_are_refused():
    with pytest.raises(ValueError, match=re.escape("test_fraction + val_fraction must stay under 1")):
        CurateParams(test_fraction=0.6, val_fraction=0.5)
