import json
from pathlib import Path

import pytest

from pipeline_lib.register.champion_answers import Became, classes_today, read_became

SAME: Became = {"3": "3", "9": "9", "cat": "cat", "Cat": "Cat"}


@pytest.mark.parametrize(
    ("then", "now", "classes", "today"),
    [
        (SAME, {**SAME, "9": "nine"}, ["3", "9"], {"3": "3", "9": "nine"}),
        ({**SAME, "9": "nine"}, {**SAME, "9": "neun"}, ["nine"], {"nine": "neun"}),
        ({**SAME, "9": "nine"}, SAME, ["nine"], {"nine": "9"}),
        (SAME, {**SAME, "Cat": "cat"}, ["cat", "Cat"], {"cat": "cat", "Cat": "cat"}),
        ({**SAME, "Cat": "cat"}, SAME, ["3", "cat"], {"3": "3"}),
        (SAME, {**SAME, "9": None}, ["3", "9"], {"3": "3"}),
        (SAME, {"nine": "nine", "3": "3"}, ["3", "9"], {"3": "3", "9": "9"}),
        (None, SAME, ["9"], {"9": "9"}),
    ],
    ids=[
        "renamed",
        "renamed twice",
        "renamed back",
        "merged",
        "split",
        "excluded",
        "gone from the sources",
        "no record",
    ],
)
def test_a_class_is_found_again_by_what_went_into_it(
    then: Became | None, now: Became, classes: list[str], today: dict[str, str]
) -> None:
    assert classes_today(classes, then, now) == today


def test_a_profile_from_before_the_record_has_none(tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"n": 1}))

    assert read_became(profile) is None
    assert read_became(None) is None
