from collections.abc import Sequence

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_lib.curate.duplicate_choice import settle
from pipeline_lib.curate.splits import leaking
from tests.unit.curate.made_tables import MadeImage, make_rows


def copies(
    *rows: tuple[str, str, str, str, int], shielded: Sequence[str] = (), framed: Sequence[str] = ()
) -> dict[str, set[str]]:
    """Rows (image_id, split, class, label_source, side) of one duplicate group, settled."""
    frame = pd.DataFrame(
        rows, columns=["image_id", "split", "class_id", "label_source", "width_px"]
    ).set_index("image_id")
    frame = frame.assign(height_px=frame["width_px"], dup_group="a")
    by_hand, in_frame = (
        pd.Series(frame.index.isin(names), index=frame.index) for names in (shielded, framed)
    )
    settled = settle(frame, shielded=by_hand, framed=in_frame)
    return {name: set(mask.index[mask]) for name, mask in vars(settled).items()}


NOTHING: dict[str, set[str]] = {
    "conflict": set(),
    "leak": set(),
    "surplus": set(),
    "disputed": set(),
}


def test_the_larger_copy_stays_and_then_the_smaller_name() -> None:
    assert copies(("a", "train", "x", "received", 50), ("b", "train", "x", "received", 90)) == {
        **NOTHING,
        "surplus": {"a"},
    }
    assert copies(("a", "train", "x", "received", 50), ("b", "train", "x", "received", 50)) == {
        **NOTHING,
        "surplus": {"b"},
    }


def test_the_photograph_stays_and_not_its_larger_screenshot() -> None:
    rows = ("a", "train", "x", "received", 90), ("b", "train", "x", "received", 50)

    assert copies(*rows, framed=["a"]) == {**NOTHING, "surplus": {"a"}}


def test_a_training_copy_gives_way_to_evaluation_even_when_it_is_larger_or_shielded() -> None:
    rows = (
        ("a", "train", "x", "received", 90),
        ("b", "val", "x", "received", 50),
        ("c", "test", "x", "received", 10),
    )

    assert copies(*rows, shielded=["a"]) == {**NOTHING, "leak": {"a"}, "surplus": {"b"}}


def test_training_copies_of_different_classes_all_go() -> None:
    rows = ("a", "train", "x", "received", 50), ("b", "train", "y", "received", 50)

    assert copies(*rows) == {**NOTHING, "conflict": {"a", "b"}}


def test_evaluation_copies_of_different_classes_stay_and_are_disputed() -> None:
    rows = (
        ("a", "test", "x", "received", 50),
        ("b", "test", "y", "received", 50),
        ("c", "train", "y", "received", 50),
    )

    assert copies(*rows) == {**NOTHING, "conflict": {"c"}, "leak": {"c"}, "disputed": {"a", "b"}}


def test_the_label_people_decided_wins_over_the_one_received() -> None:
    rows = ("a", "train", "x", "received", 50), ("b", "train", "y", "votes", 50)

    assert copies(*rows) == {**NOTHING, "conflict": {"a"}}


def test_an_override_wins_over_votes() -> None:
    rows = (
        ("a", "train", "x", "override", 50),
        ("b", "train", "y", "votes", 50),
        ("c", "test", "y", "votes", 50),
    )

    assert copies(*rows, shielded=["a"]) == {
        **NOTHING,
        "conflict": {"b"},
        "leak": {"a", "b"},
        "disputed": {"c"},
    }


def test_people_who_contradict_each_other_decide_nothing() -> None:
    rows = ("a", "train", "x", "votes", 50), ("b", "train", "y", "votes", 50)

    assert copies(*rows) == {**NOTHING, "conflict": {"a", "b"}}


def test_a_shielded_copy_stays_in_a_conflict() -> None:
    rows = ("a", "train", "x", "received", 50), ("b", "train", "y", "received", 50)

    assert copies(*rows, shielded=["b"]) == {**NOTHING, "conflict": {"a"}}


def test_a_shared_subject_is_a_leak() -> None:
    rows = make_rows(
        [
            MadeImage("s/a", subject="ann"),
            MadeImage("s/b", subject="ann"),
            MadeImage("s/c", subject="bob"),
        ]
    )

    leaks = leaking(rows.assign(split=["train", "test", "train"], dup_group=None))

    assert leaks.to_dict() == {"s/a": True, "s/b": False, "s/c": False}


ONE_COPY = st.tuples(
    st.sampled_from(["train", "val", "test"]),
    st.sampled_from(["x", "y"]),
    st.sampled_from(["received", "votes", "override"]),
    st.sampled_from([50, 90]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ONE_COPY, min_size=1, max_size=5), ONE_COPY)
def test_a_new_training_copy_takes_no_evaluation_image_out(
    group: list[tuple[str, str, str, int]], new: tuple[str, str, str, int]
) -> None:
    before = copies(*[(str(n), *copy) for n, copy in enumerate(group)])
    after = copies(*[(str(n), *copy) for n, copy in enumerate(group)], ("new", "train", *new[1:]))

    evaluated = {str(n) for n, copy in enumerate(group) if copy[0] != "train"}

    assert not evaluated & (after["conflict"] | after["leak"])
    assert evaluated & before["surplus"] == evaluated & after["surplus"]
