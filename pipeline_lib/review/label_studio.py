"""Label Studio's files: tasks with predictions to import there, and the answers it exports.

Formats: https://labelstud.io/guide/tasks (basic JSON), /guide/predictions, /guide/export (JSON and JSON_MIN). Images
travel inside the tasks, as data URIs. An export may hold a task twice, answers of several people, skipped tasks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from pydantic import BaseModel, TypeAdapter, ValidationError

from pipeline_lib.curate.overrides import IMAGE_KEYS
from pipeline_lib.errors import BadData
from pipeline_lib.review.answers import Answer
from pipeline_lib.review.questions import Question, Questions

LABEL, VERDICT = "label", "verdict"  # the names of the two control tags
VERDICTS = {"remove the image": "remove", "not a duplicate": "not_duplicate"}
REMEDY = "export the project of `perennial review export` again, as JSON or JSON-MIN"


@dataclass(frozen=True)
class Exported:
    """What people answered. unanswered: tasks without an answer. disputed: images on which people differ."""

    answers: tuple[Answer, ...]
    unanswered: int
    disputed: tuple[str, ...]


class _Choices(BaseModel):
    """The value of a control tag; other kinds than choices have other keys."""

    choices: tuple[str, ...] = ()


class _Result(BaseModel):
    """The answer to one control tag."""

    from_name: str = ""
    type: str = ""
    value: _Choices = _Choices()


class _Person(BaseModel):
    id: int | str


class _Annotation(BaseModel):
    """One annotation. JSON_MIN has no `result`: the tags' names are keys, one choice is text, several are `choices`."""

    was_cancelled: bool = False
    result: tuple[_Result, ...] | None = None
    label: _Choices | str | None = None
    verdict: _Choices | str | None = None
    completed_by: _Person | int | str | None = None
    annotator: _Person | int | str | None = None
    updated_at: str | None = None
    created_at: str | None = None

    def chosen(self, tag: str) -> tuple[str, ...]:
        """The choices made for a control tag."""
        if self.result is not None:
            made = [
                one.value.choices
                for one in self.result
                if one.from_name == tag and one.type == "choices"
            ]
            return made[-1] if made else ()
        value = {LABEL: self.label, VERDICT: self.verdict}[tag]
        if isinstance(value, _Choices):
            return value.choices
        return (value,) if value else ()

    @property
    def author(self) -> str:
        """`annotator 3`."""
        who = self.annotator if self.completed_by is None else self.completed_by
        name = who.id if isinstance(who, _Person) else who
        return "annotator" if name is None else f"annotator {name}"

    @property
    def when(self) -> str:
        """The time of the last change, ISO; "" where none is given."""
        return self.updated_at or self.created_at or ""


ANNOTATIONS = TypeAdapter(tuple[_Annotation, ...])


@dataclass(frozen=True)
class _Said:
    """One annotation. when: ISO time, to tell the latest of one person."""

    key_type: str
    key: str
    given: str
    label: str
    verdicts: tuple[str, ...]
    author: str
    when: str


def tasks(found: Questions) -> list[dict[str, Any]]:
    """One task for each image asked about that can be shown, with the suggestion as its prediction."""
    by_image: dict[str, list[Question]] = {}
    for one in found.asked:
        if one.usable:
            by_image.setdefault(one.image_id, []).append(one)
    return [_task(asked, found.images[image_id]) for image_id, asked in by_image.items()]


def labelling_config(classes: Iterable[str]) -> str:
    """The project's labelling interface, as XML."""
    choices = [f"    <Choice value={quoteattr(name)}/>" for name in classes]
    verdicts = [f"    <Choice value={quoteattr(words)}/>" for words in VERDICTS]
    lines = [
        "<View>",
        '  <Image name="image" value="$image" zoom="true"/>',
        '  <Text name="note" value="$note"/>',
        f'  <Choices name="{LABEL}" toName="image" choice="single" showInLine="true">',
        *choices,
        "  </Choices>",
        f'  <Choices name="{VERDICT}" toName="image" choice="multiple" showInLine="true">',
        *verdicts,
        "  </Choices>",
        "</View>",
    ]
    return "\n".join(lines) + "\n"


def read_exported(text: str, file: Path) -> Exported:
    """The answers of an export. Raises BadData when it is no export, or a task names no image."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadData("not JSON", file=file, value=str(error), remedy=REMEDY) from error
    if not isinstance(content, list) or not all(isinstance(task, dict) for task in content):
        raise BadData("not a list of Label Studio tasks", file=file, remedy=REMEDY)
    said: dict[str, dict[str, _Said]] = {}  # image -> person -> what they said last
    keys = [_key(task, number, file) for number, task in enumerate(content, 1)]
    for number, (task, (key_type, key)) in enumerate(zip(content, keys, strict=True), 1):
        for one in _said_of(task, key_type, key, number=number, file=file):
            by_person = said.setdefault(key, {})
            if one.author not in by_person or one.when >= by_person[one.author].when:
                by_person[one.author] = one
    agreed = {key: list(by.values()) for key, by in said.items()}
    disputed = [
        key
        for key, those in agreed.items()
        if len({(one.label, one.verdicts) for one in those}) > 1
    ]
    answers = [
        answer
        for key, those in agreed.items()
        if key not in disputed
        for answer in _answers(those[0])
    ]
    unanswered = len({key for _, key in keys} - set(said))
    return Exported(tuple(answers), unanswered, tuple(sorted(disputed)))


def _task(asked: list[Question], image: str) -> dict[str, Any]:
    first = asked[0]
    suggested = next((one for one in asked if one.suggested and one.suggested != one.given), None)
    votes = ", ".join(f"{who}: {label}" for who, label in first.votes)
    notes = [
        f"given: {first.given or 'no class'}",
        *(one.note for one in asked),
        *([f"votes: {votes}"] if votes else []),
    ]
    names = {
        "image_id": first.image_id,
        "key_type": first.key_type,
        "key": first.key,
        "given": first.given,
    }
    task: dict[str, Any] = {"data": {"image": image, **names, "note": "; ".join(notes)}}
    if suggested:
        choice = {
            "from_name": LABEL,
            "to_name": "image",
            "type": "choices",
            "value": {"choices": [suggested.suggested]},
        }
        score = suggested.score if suggested.p_suggested is None else suggested.p_suggested
        prediction = {"model_version": "perennial", "result": [{"id": suggested.id, **choice}]}
        task["predictions"] = [prediction if score is None else {**prediction, "score": score}]
    return task


def _key(task: dict[str, Any], number: int, file: Path) -> tuple[str, str]:
    """The image of a task: as the task was made, else by whatever of its names are left."""
    data = _data(task)
    if data.get("key_type") in IMAGE_KEYS and data.get("key"):
        return str(data["key_type"]), str(data["key"])
    for name in ("sha256", "image_id"):
        if data.get(name):
            return name, str(data[name])
    raise BadData(
        f"task {number} names no image: it has no key, sha256 or image_id", file=file, remedy=REMEDY
    )


def _data(task: dict[str, Any]) -> dict[str, Any]:
    data = task.get("data", task)  # JSON_MIN has no level of its own for data
    return data if isinstance(data, dict) else {}


def _said_of(
    task: dict[str, Any], key_type: str, key: str, *, number: int, file: Path
) -> Iterator[_Said]:
    """What the annotations of a task say; `completions` is what versions before 1.0 called them."""
    given = str(_data(task).get("given") or "")
    found = task.get("annotations") or task.get("completions") or [task]
    try:
        annotations = ANNOTATIONS.validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        value = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        what = f"task {number} is not as Label Studio exports it"
        raise BadData(what, file=file, value=value, remedy=REMEDY) from error
    for one in annotations:
        label, verdicts = one.chosen(LABEL), one.chosen(VERDICT)
        if (label or verdicts) and not one.was_cancelled:
            actions = tuple(sorted(VERDICTS[words] for words in verdicts if words in VERDICTS))
            yield _Said(
                key_type, key, given, label[0] if label else "", actions, one.author, one.when
            )


def _answers(said: _Said) -> list[Answer]:
    """The lines for one image: it goes, or it has a label and may be no copy."""
    orders = [("remove", "")] if "remove" in said.verdicts else []
    if not orders:
        orders = [("not_duplicate", "")] if "not_duplicate" in said.verdicts else []
        orders += (
            [("keep", "") if said.label == said.given else ("relabel", said.label)]
            if said.label
            else []
        )
    tail = (said.given, "review: Label Studio", said.author, said.when[:10])
    return [Answer(said.key_type, said.key, action, value, *tail) for action, value in orders]
