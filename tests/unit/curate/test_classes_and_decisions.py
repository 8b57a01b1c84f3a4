import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipeline_lib.curate.classes import class_table, too_small
from pipeline_lib.curate.decide import curate
from pipeline_lib.curate.decisions import check_limits, check_other_files
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.selection import over_cap, row_weights
from pipeline_lib.curate.statistics import balance, ledger
from pipeline_lib.errors import DataCheckFailed
from tests.unit.curate.made_tables import MadeImage, make_found

FILE = Path("line/curate/manifest.parquet")


def kept(**sizes: tuple[int, int, int]) -> pd.DataFrame:
    """Rows of classes with (train, val, test) images."""
    rows = [
        (name, split)
        for name, counts in sizes.items()
        for split, n in zip(("train", "val", "test"), counts, strict=True)
        for _ in range(n)
    ]
    frame = pd.DataFrame(rows, columns=["class_id", "split"], dtype="str")
    return frame.set_index("s/" + frame.index.astype("str"))


def failure(call: Callable[[], object]) -> str:
    with pytest.raises(DataCheckFailed) as caught:
        call()
    return str(caught.value)


def test_class_ids_that_are_numbers_are_ordered_as_numbers() -> None:
    table = class_table(kept(**{"10": (2, 1, 1), "9": (3, 1, 1)}), {}, FILE)

    assert table.to_dict("list") == {
        "label": [0, 1],
        "class_id": ["9", "10"],
        "name": ["9", "10"],
        "n_train": [3, 2],
        "n_val": [1, 1],
        "n_test": [1, 1],
    }


def test_weights_are_inverse_to_class_size_with_mean_one_over_training() -> None:
    """Sizes 1 and 3: inverse weights 1 and 1/3, mean (1 + 3/3) / 4 = 1/2, so 2 and 2/3; val and test weigh 1."""
    rows = kept(a=(1, 1, 0), b=(3, 0, 1))

    weights = row_weights(rows, CurateParams(class_weights="inverse"))

    assert weights.to_list() == pytest.approx([2, 1, 2 / 3, 2 / 3, 2 / 3, 1])
    assert row_weights(rows, CurateParams()).eq(1).all()
    sqrt = row_weights(rows, CurateParams(class_weights="sqrt"))
    assert sqrt.iloc[0] / sqrt.iloc[2] == pytest.approx(3**0.5)
    assert sqrt[rows["split"] == "train"].mean() == pytest.approx(1)


def test_effective_weights_follow_the_papers_formula() -> None:
    """Sizes 1 and 3 at beta .999: (1 - b) / (1 - b^n) is 1 and 1 / (1 + b + b^2) = 1 / 2.997001."""
    rows = kept(a=(1, 1, 0), b=(3, 0, 1))

    weights = row_weights(rows, CurateParams(class_weights="effective"))

    assert weights.iloc[0] / weights.iloc[2] == pytest.approx(2.997001)
    assert weights[rows["split"] == "train"].mean() == pytest.approx(1)


def test_a_cap_takes_training_images_only_and_leaves_those_a_person_chose() -> None:
    images = [
        MadeImage(f"s/{n:03}", split=split)
        for n, split in enumerate(["train"] * 30 + ["val", "test"] * 10)
    ]
    dogs = [
        MadeImage(f"d/{n}", "dog", split, vector=(1, 0))
        for n, split in enumerate(["train"] * 4 + ["val", "test"])
    ]
    wish = "image_id,s/007,keep,,,,,\nimage_id,s/011,keep,,,,,\n"

    curated = curate(make_found([*images, *dogs], overrides=wish), CurateParams(cap_per_class=4))

    rows = curated.manifest.set_index("image_id")
    over = rows[rows["reason"] == "over_class_cap"]
    assert (
        len(over) == 26 and set(over["class_id"]) == {"cat"} and set(over["decision"]) == {"remove"}
    )
    assert (rows.loc[["s/007", "s/011"], "decision"] == "keep").all()
    assert curated.statistics["splits"] == {"train": 8, "val": 11, "test": 11}


def test_new_images_displace_few_of_those_under_a_cap() -> None:
    rows = kept(a=(1000, 0, 0)).assign(keep=False, relabel=pd.Series(dtype="str"))
    params = CurateParams(cap_per_class=500)

    before = over_cap(rows.iloc[:900], params)
    after = over_cap(rows, params)

    stayed = (~before & ~after[before.index]).sum()
    assert (~before).sum() == (~after).sum() == 500
    assert 420 < stayed < 480


def test_a_cap_under_the_least_size_of_a_class_is_refused() -> None:
    with pytest.raises(ValueError, match="cap_per_class must not be under min_images_per_class"):
        CurateParams(cap_per_class=3, min_images_per_class=4)


def test_a_class_with_too_few_training_images_is_dropped_kept_or_refused() -> None:
    rows = kept(a=(5, 1, 1), b=(1, 1, 1))

    assert set(rows.loc[too_small(rows, CurateParams(), FILE), "class_id"]) == {"b"}
    assert not too_small(rows, CurateParams(small_classes="keep"), FILE).any()
    message = failure(lambda: too_small(rows, CurateParams(small_classes="fail"), FILE))
    assert (
        "1 classes have fewer than 2 training images (found: b: 1). Remedy: add images, exclude_class"
        in message
    )


def test_what_cannot_be_trained_on_is_refused() -> None:
    assert "no train image is left. Remedy: add images" in failure(
        lambda: class_table(kept(a=(0, 1, 1)), {}, FILE)
    )
    assert "no train image is left" in failure(lambda: class_table(kept(), {}, FILE))
    no_val = failure(lambda: class_table(kept(a=(3, 0, 1)), {}, FILE))
    assert (
        "no val image is left. Remedy: add images, raise curate.val_fraction in params.yaml, or"
        in no_val
    )
    empty = failure(lambda: class_table(kept(a=(3, 1, 1), b=(0, 1, 1)), {}, FILE))
    assert "1 classes have no training image (found: b). Remedy:" in empty
    assert "a classifier needs two classes (found: a)" in failure(
        lambda: class_table(kept(a=(3, 1, 1)), {}, FILE)
    )


def test_the_ledger_balances_by_source() -> None:
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


def test_the_balance_holds_every_image_once_by_class_split_decision_and_reason() -> None:
    manifest = pd.DataFrame(
        {
            "label_received": pd.array(["x", "x", "y", None], dtype="str"),
            "class_id": pd.array(["x", "z", None, None], dtype="str"),
            "decision": ["keep", "remove", "quarantine", "remove"],
            "reason": pd.array([None, "duplicate", "empty", "not_a_picture_name"], dtype="str"),
        },
        index=["s/1", "s/2", "s/3", "s/4"],
    )

    found = balance(manifest, pd.Series({"s/1": "test", "s/2": "train"}, dtype="str"))

    assert found.to_csv(index=False).splitlines() == [
        "class_id,split,decision,reason,n",
        ",,remove,not_a_picture_name,1",
        "x,test,keep,,1",
        "y,,quarantine,empty,1",
        "z,train,remove,duplicate,1",
    ]


def test_a_row_without_a_decision_is_our_defect() -> None:
    manifest = pd.DataFrame({"source": ["a"], "label_received": ["x"], "decision": ["maybe"]})

    with pytest.raises(AssertionError, match="neither kept nor quarantined nor removed"):
        ledger(manifest)


def test_too_much_quarantine_stops_the_line_and_names_ten_examples() -> None:
    images = [
        MadeImage(f"s/{n:02d}", image={"refusal": "decode_truncated"} if n < 12 else {})
        for n in range(30)
    ]

    message = failure(lambda: curate(make_found(images), CurateParams()))

    assert (
        "12 of 30 images are quarantined, 6 are allowed (found: decode_truncated: 12; " in message
    )
    assert "12; s/00 (decode_truncated), s/01 (decode_truncated), " in message
    assert (
        "s/09 (decode_truncated) and 2 more). Remedy: fix the source, or raise curate.max_quarantine_rate"
        in message
    )


def test_the_remedy_for_small_classes_is_one_that_helps() -> None:
    images = [MadeImage(f"s/{n:02d}", label="ab"[n % 2]) for n in range(20)]
    found = make_found(images)

    message = failure(lambda: curate(found, CurateParams(min_images_per_class=9)))

    assert "class_too_small: 20" in message and "max_quarantine_rate" not in message
    assert (
        "Remedy: add images to these classes, lower curate.min_images_per_class or set curate.small_class"
        in message
    )
    assert (
        len(curate(found, CurateParams(min_images_per_class=9, small_classes="keep")).classes) == 2
    )
    assert len(curate(found, CurateParams(min_images_per_class=2)).classes) == 2


def judged(*names: str, p_given: float, p_suggested: float) -> pd.DataFrame:
    """Manifest rows of kept images called cat; doubted where a dog is likelier."""
    doubted = "review" if p_suggested > p_given else "none"
    columns = {
        "decision": "keep",
        "reason": None,
        "class_id": "cat",
        "label_suggested": "dog",
        "label_issue": doubted,
    }
    return pd.DataFrame(
        {**columns, "p_given": p_given, "p_suggested": p_suggested}, index=list(names)
    )


def test_too_many_doubted_labels_stop_the_line_and_the_worst_are_named_first() -> None:
    sound = judged(*(f"s/{n}" for n in range(8)), p_given=0.9, p_suggested=0.1)
    manifest = pd.concat(
        [
            sound,
            judged("s/x", p_given=0.3, p_suggested=0.7),
            judged("s/y", p_given=0, p_suggested=1),
        ]
    )
    leaks = pd.Series(False, index=manifest.index)

    message = failure(lambda: check_limits(manifest, leaks, CurateParams(), FILE))

    assert (
        "2 of 10 labels are doubted, 2 are allowed (found: s/y (cat, looks like dog), s/x (cat, looks"
        in message
    )
    assert (
        "Remedy: look at line/curate/review.parquet and correct labels in curation/overrides.csv, or"
        in message
    )
    check_limits(manifest, leaks, CurateParams(max_label_issue_rate=0.2), FILE)


def test_the_commonest_reason_of_quarantine_is_named_first() -> None:
    index = [f"s/{n}" for n in range(4)]
    reasons = ["empty", "decode_corrupt", "decode_corrupt", None]
    manifest = judged(*index, p_given=float("nan"), p_suggested=float("nan"))
    manifest["reason"] = reasons
    manifest["decision"] = ["quarantine"] * 3 + ["keep"]

    message = failure(
        lambda: check_limits(manifest, pd.Series(False, index=index), CurateParams(), FILE)
    )

    assert (
        "(found: decode_corrupt: 2, empty: 1; s/1 (decode_corrupt), s/2 (decode_corrupt), s/0 (empty))"
        in message
    )


def files(*, images: list[str], others: list[str]) -> pd.DataFrame:
    reasons = [None] * len(images) + ["not_a_picture_name"] * len(others)
    decisions = ["keep"] * len(images) + ["remove"] * len(others)
    return pd.DataFrame({"decision": decisions, "reason": reasons}, index=[*images, *others])


@pytest.mark.parametrize(
    "others",
    [
        ["s/README.md", "s/LICENSE", "s/labels.csv", "s/paper.pdf", "s/cat/notes.txt"],
        [f"s/cat/{n}.jpg.json" for n in range(10)],  # what a photo service knew of each
        [f"s/annotations/{n}.xml" for n in range(10)] + [f"s/cat/{n}.txt" for n in range(10)],
    ],
    ids=["a few", "one beside each image", "annotations and captions"],
)
def test_files_that_belong_beside_images_count_against_no_limit(others: list[str]) -> None:
    check_other_files(
        files(images=[f"s/cat/{n}.jpg" for n in range(10)], others=others), CurateParams(), FILE
    )


def test_a_folder_of_documents_stops_the_line() -> None:
    documents = [f"s/scans/{n}.pdf" for n in range(7)] + ["s/scans/README"]
    manifest = files(images=[f"s/cat/a{n}.jpg" for n in range(12)], others=documents)

    message = failure(lambda: check_other_files(manifest, CurateParams(), FILE))

    assert (
        "8 of 20 files are no images by their names, 5 are allowed (found: .pdf: 7, README: 1; s/scans/0.pdf"
        in (message.replace("s/scans/README, s/scans/0.pdf", "s/scans/0.pdf"))
    )
    assert (
        "Remedy: name the folder that holds the images in discover.sources, save what should be images"
        in message
    )
    check_other_files(manifest, CurateParams(max_quarantine_rate=0.4), FILE)


def test_leakage_stops_the_line() -> None:
    manifest = judged("s/a", p_given=0.9, p_suggested=0.1)
    leaks = pd.Series([True], index=["s/a"])

    message = failure(lambda: check_limits(manifest, leaks, CurateParams(), FILE))

    assert (
        "1 training images are tied to val or test, 0 are allowed (found: s/a (tied to val or test)). Remedy: remove"
        in message
    )
    check_limits(manifest, leaks, CurateParams(max_leakage=1), FILE)


def test_wrong_fractions_are_refused() -> None:
    with pytest.raises(
        ValueError, match=re.escape("test_fraction + val_fraction must stay under 1")
    ):
        CurateParams(test_fraction=0.6, val_fraction=0.5)


def test_many_images_without_a_class_are_told_of_the_table_of_labels() -> None:
    images = [MadeImage(f"s/{n}", label="cat" if n < 4 else None) for n in range(40)]

    said = failure(lambda: curate(make_found(images), CurateParams()))

    assert "label_missing: 36" in said
    assert (
        "Remedy: give these images a class: name a table of labels (one line per image) as `labels` of"
        in said
    )
