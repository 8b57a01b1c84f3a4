"""Label Studio's formats: tasks that it takes, and exports as it writes them, tidy or not."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline_lib.errors import BadData
from pipeline_lib.review import gather, label_studio
from tests.unit.review.conftest import EVIL, FORMULA

FILE = Path("export.json")


def exported(*tasks: dict[str, object]) -> label_studio.Exported:
    return label_studio.read_exported(json.dumps(tasks), FILE)


def task(
    key: str,
    *choices: str,
    verdict: str = "",
    when: str = "2026-11-21T10:00:00Z",
    who: object = 3,
    **more: object,
) -> dict[str, object]:
    """A task as the JSON export holds it."""
    result = [
        {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [c]}}
        for c in choices
    ]
    if verdict:
        result.append(
            {
                "from_name": "verdict",
                "to_name": "image",
                "type": "choices",
                "value": {"choices": [verdict]},
            }
        )
    found = {
        "id": 1,
        "result": result,
        "was_cancelled": False,
        "completed_by": who,
        "updated_at": when,
        **more,
    }
    return {
        "id": 7,
        "data": {"key_type": "sha256", "key": key, "given": "cat"},
        "annotations": [found],
    }


def orders(found: label_studio.Exported) -> list[tuple[str, str, str, str]]:
    return [
        (answer.key, answer.action, answer.value, answer.expected_old) for answer in found.answers
    ]


def test_a_task_holds_its_image_and_the_suggestion_as_a_prediction(files: dict[str, Path]) -> None:
    tasks = label_studio.tasks(gather(files, most=100))

    first = tasks[0]
    assert len(tasks) == 5, "a broken file cannot be shown"
    assert first["data"]["image"].startswith("data:image/jpeg;base64,")
    assert first["data"]["note"].endswith("votes: <b>ben</b>: dog, ana: cat")
    assert first["predictions"][0]["score"] == 0.92
    (result,) = first["predictions"][0]["result"]
    assert (result["type"], result["from_name"], result["value"]) == (
        "choices",
        "label",
        {"choices": ["dog"]},
    )


def test_the_interface_names_every_class_whatever_it_is_called() -> None:
    config = label_studio.labelling_config([EVIL, FORMULA, 'a "b" & c'])

    choices = ElementTree.fromstring(config).findall(  # noqa: S314 - our own text
        "./Choices[@name='label']/Choice"
    )
    assert [choice.get("value") for choice in choices] == [EVIL, FORMULA, 'a "b" & c']


def test_answers_come_back_as_the_lines_they_mean(files: dict[str, Path]) -> None:
    sent = label_studio.tasks(gather(files, most=100))[0]
    result = sent["predictions"][0]["result"]

    back = exported(
        {
            **sent,
            "annotations": [
                {"result": result, "completed_by": 3, "updated_at": "2026-11-21T10:00"}
            ],
        }
    )

    (answer,) = back.answers
    assert (answer.key_type, answer.key, answer.action, answer.value) == (
        "sha256",
        "a1",
        "relabel",
        "dog",
    )
    assert (answer.expected_old, answer.author, answer.day) == ("cat", "annotator 3", "2026-11-21")


def test_every_kind_of_answer_is_understood() -> None:
    found = exported(
        task("right", "cat"),
        task("wrong", "dog"),
        task("bad", verdict="remove the image"),
        task("alone", "cat", verdict="not a duplicate"),
        task("skipped", "dog", was_cancelled=True),
        task("empty"),
    )

    assert orders(found) == [
        ("right", "keep", "", "cat"),
        ("wrong", "relabel", "dog", "cat"),
        ("bad", "remove", "", "cat"),
        ("alone", "not_duplicate", "", "cat"),
        ("alone", "keep", "", "cat"),
    ]
    assert found.unanswered == 2


def test_a_task_that_is_there_twice_counts_once_with_its_latest_answer() -> None:
    late, early = (
        task("a", "dog", when="2026-11-21T12:00:00Z"),
        task("a", "hen", when="2026-11-21T11:00:00Z"),
    )

    assert orders(exported(late, early, late)) == [("a", "relabel", "dog", "cat")]


def test_where_people_differ_nothing_is_taken_and_the_image_is_named() -> None:
    found = exported(
        task("a", "dog"),
        task("a", "hen", who={"id": 4, "email": "ben@example.org"}),
        task("b", "dog"),
    )

    assert orders(found) == [("b", "relabel", "dog", "cat")]
    assert found.disputed == ("a",)


def test_json_min_and_the_old_word_completions_are_read() -> None:
    old = task("b", "dog")
    old["completions"] = old.pop("annotations")

    found = exported(
        {"image": "x", "sha256": "a", "label": "dog", "annotator": 5, "updated_at": "2026-11-21"},
        old,
    )

    assert orders(found) == [("a", "relabel", "dog", ""), ("b", "relabel", "dog", "cat")]
    assert found.answers[0].author == "annotator 5"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "export.json: not JSON"),
        ('{"a": 1}', "export.json: not a list of Label Studio tasks"),
        (
            '[{"sha256": "a", "annotations": 3}]',
            r"task 1 is not as Label Studio exports it \(found: : ",
        ),
        ('[{"sha256": "a", "annotations": ["x"]}]', r"task 1 .* \(found: 0: "),
        ('[{"sha256": "a", "annotations": [{"result": {}}]}]', r"task 1 .* \(found: 0.result: "),
        (
            '[{"sha256": "a", "annotations": [{"result": [{"value": 5}]}]}]',
            r"task 1 .* \(found: 0.result.0.value: ",
        ),
        ('[{"sha256": "a", "label": {"choices": 7}}]', r"task 1 .* \(found: 0.label"),
        (
            '[{"sha256": "a", "label": "x", "annotator": {"name": "b"}}]',
            r"task 1 .* \(found: 0.annotator",
        ),
        ('[{"data": {"image": "x"}}]', "task 1 names no image: it has no key, sha256 or image_id"),
    ],
)
def test_what_is_no_export_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadData, match=said):
        label_studio.read_exported(text, FILE)
