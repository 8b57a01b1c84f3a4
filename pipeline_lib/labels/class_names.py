"""Names of classes that files of labels give by number."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline_lib.errors import BadData
from pipeline_lib.labels.files import Files, only_text
from pipeline_lib.labels.json_stream import JsonStream
from pipeline_lib.labels.statements import NO_VALUE

_LIST = re.compile(
    r"(class|label|category|synset)(e?s|ies|_?names|_?list)?|categories(_places365)?|names|variants|class_?names"
)
_MAP = re.compile(r".*(class|label|id2label|idx|index|cat).*(map|index|idx|names|to|2).*|id2label")
YOLO_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "obj.names")
NUMBER = re.compile(r"-?\d+")


@dataclass(frozen=True)
class ClassNames:
    """Number, as text -> name. file: that names them; "" where nothing does, and then a number is its own name."""

    names: Mapping[str, str]
    file: str = ""

    def name(self, label: str) -> str:
        """The name of a class; -1 means none, as Hugging Face has it. Raises BadData for a number without a name."""
        if not self.names or label in NO_VALUE:
            return label
        if label == "-1":
            return ""
        number = str(int(label)) if NUMBER.fullmatch(label) else label
        if number in self.names:
            return self.names[number]
        if not NUMBER.fullmatch(label):
            return label
        remedy = (
            "add its name there, or remove `classes` from `labels` of the source in params.yaml"
        )
        raise BadData(
            f"class {label} has no name", file=self.file, value=_some(self.names), remedy=remedy
        )


NO_NAMES = ClassNames({})


def read_class_names(files: Files, name: str) -> ClassNames:
    """Names by number: line n for number n from 0, lines `number name` or `name number`, or JSON.

    JSON: an array, or an object of names or of [wnid, name] by number, or of numbers by name. Raises BadData.
    """
    file = files.at(name)
    if names := names_inside(files, name):
        return ClassNames(names, file)
    data = files.read(name)
    if name.endswith((".yaml", ".yml")):
        return ClassNames(_from_yaml(data, file), file)
    if data.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"[", b"{"):
        return ClassNames(_from_json(data, file), file)
    lines = [line.strip() for line in only_text(data.splitlines(), file=file) if line.strip()]
    for pattern in (
        r"(?P<number>\d+)[\s,;:]+(?P<name>\S.*)",
        r"(?P<name>\S.*?)[\s,;:]+(?P<number>\d+)",
    ):
        found = [re.fullmatch(pattern, line) for line in lines]
        numbers = [match["number"] for match in found if match]
        if len(numbers) == len(lines) and len(set(numbers)) == len(lines):
            named = {str(int(one["number"])): one["name"] for one in found if one}
            return ClassNames(_without_letters(named), file)
    return ClassNames({str(number): line for number, line in enumerate(lines)}, file)


def names_inside(files: Files, name: str) -> dict[str, str]:
    """Names by number that stand in a JSON file of labels: `classes`, an array, or Datumaro's `categories`; {} without."""
    if not name.lower().endswith(".json"):
        return {}
    with files.stream(name) as file:
        stream = JsonStream(file, files.at(name))
        if stream.peek() != "{":
            return {}
        for key in stream.members():
            if key not in ("classes", "categories"):
                stream.skip()
                continue
            content = stream.value()
            if isinstance(content, dict):
                of_labels = content.get("label")
                labels = of_labels.get("labels") if isinstance(of_labels, dict) else None
                content = [
                    one["name"] for one in labels or () if isinstance(one, dict) and "name" in one
                ]
            if (
                isinstance(content, list)
                and content
                and all(isinstance(one, str) for one in content)
            ):
                return {str(number): one for number, one in enumerate(content)}
    return {}


def _without_letters(named: dict[str, str]) -> dict[str, str]:
    """Places365 sorts its classes into folders by their first letters: /a/airfield."""
    letters = re.compile(r"/[a-z]/(.+)")
    found = {number: letters.fullmatch(name) for number, name in named.items()}
    return (
        {number: one[1] for number, one in found.items() if one} if all(found.values()) else named
    )


def class_name_files(names: Sequence[str]) -> list[str]:
    """The files that, by their names, may name the classes of numbers: classes.txt, label_num_to_disease_map.json, ..."""
    found = []
    for name in names:
        stem, _, ending = name.rpartition("/")[2].lower().rpartition(".")
        is_list = ending in ("txt", "json", "names") and bool(
            _LIST.fullmatch(stem) or _MAP.fullmatch(stem)
        )
        if is_list or name.rpartition("/")[2] in YOLO_NAMES:
            found.append(name)
    return found


def _from_yaml(data: bytes, file: str) -> dict[str, str]:
    """The key `names` of Ultralytics' data.yaml: an array, or an object by number."""
    try:
        content = YAML(typ="safe", pure=True).load(data)["names"]
    except (YAMLError, ValueError, TypeError, KeyError) as error:
        remedy = "write `names: [cat, dog]`"
        raise BadData(
            "not names of classes", file=file, value=repr(error), remedy=remedy
        ) from error
    return _named(content, file)


def _from_json(data: bytes, file: str) -> dict[str, str]:
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise _not_names(file, error) from error
    return _named(content, file)


def _named(content: Any, file: str) -> dict[str, str]:
    try:
        if isinstance(content, list):
            return {str(number): str(name) for number, name in enumerate(content)}
        if all(isinstance(value, int) for value in content.values()):
            return {str(number): name for name, number in content.items()}
        return {
            str(int(number)): str(name[-1] if isinstance(name, list) else name)
            for number, name in content.items()
        }
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise _not_names(file, error) from error


def _not_names(file: str, error: Exception) -> BadData:
    remedy = 'write an array of names, or an object such as {"0": "cat"}'
    return BadData("not names of classes", file=file, value=error, remedy=remedy)


def _some(names: Mapping[str, str]) -> str:
    shown = [f"{number}: {name}" for number, name in list(names.items())[:5]]
    return f"{len(names)} names, {', '.join(shown)}"
