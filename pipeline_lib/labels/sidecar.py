"""Statements of files that lie beside each image under the same name: `x.jpg` with `x.cls`, `x.json` or `x.txt`.

WebDataset packs images in this way into numbered tars (https://github.com/webdataset/webdataset); the tars' names tell
splits and never classes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline_lib.errors import BadData
from pipeline_lib.labels.class_names import ClassNames
from pipeline_lib.labels.columns import CLASS_COLUMNS, plain
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.statements import Part, Stated, Statement, split_in
from pipeline_lib.labels.undecided import several_columns
from pipeline_lib.sources.names import without_image_ending

ENDINGS = ("cls", "json", "txt")
TRIED = 200
MOST_BYTES = 1 << 20  # of a file that describes one image


def stated_by_sidecars(
    files: Files, stated: LabelsFile, *, members: frozenset[str], class_names: ClassNames
) -> Stated:
    """What the files beside the images say. members: the images."""
    beside = beside_images(files, members)
    label = stated.label or _choose(files, beside)
    split_of = splits_of_shards({member.split("/")[0] for member in members if "/" in member})

    def statements() -> Iterator[Statement]:
        for number, (member, names) in enumerate(sorted(beside.items()), 1):
            cells = _cells(files, names)
            chosen = cells.pop(label, "")
            if isinstance(chosen, (list, dict)):
                if len(chosen) > 1:
                    what = f"several classes in {label} of {member}"
                    remedy = "name another key as `label` in `labels` of the source in params.yaml"
                    raise BadData(what, file=files.address, value=str(chosen)[:80], remedy=remedy)
                chosen = chosen[0] if isinstance(chosen, list) and chosen else ""
            name = class_names.name(str(chosen).strip())
            split = split_of.get(member.split("/")[0], "")
            yield Statement(number, member, name, split, cells, member=member)

    said = f"classes in {label} beside each image"
    said += f", named by {class_names.file}" if class_names.file else ""
    said += ", splits by the shards' names" if split_of else ""
    return Stated(said, iter([Part(files.address, statements(), unit="image")]))


def beside_images(files: Files, members: frozenset[str]) -> dict[str, dict[str, str]]:
    """Image -> ending -> file, of images with files beside them."""
    found: dict[str, dict[str, str]] = {}
    for member in members:
        stem = without_image_ending(member)
        names = {one: f"{stem}.{one}" for one in ENDINGS if f"{stem}.{one}" in files.open_by_name}
        if names:
            found[member] = names
    return found


def splits_of_shards(shards: set[str]) -> dict[str, str]:
    """Shard -> split, of those whose names contain one: `imagenet-train-000012`."""
    return {shard: split for shard in shards if (split := split_in(shard))}


def choices(files: Files, beside: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """What may hold the class, the likeliest first: cls, keys of json with a name such as label, txt."""
    found: Counter[str] = Counter()
    texts = []
    for member in sorted(beside)[:TRIED]:
        cells = _cells(files, beside[member])
        texts += [str(cells["txt"])] if "txt" in cells else []
        found.update(
            key
            for key, value in cells.items()
            if value != "" and (key == "cls" or plain(key.removeprefix("json.")) in CLASS_COLUMNS)
        )
    if found:
        return tuple(sorted(found, key=lambda key: (key != "cls", key)))
    return ("txt",) if texts else ()


def _choose(files: Files, beside: Mapping[str, Mapping[str, str]]) -> str:
    possible = choices(files, beside)
    if possible in (("txt",), ()) or (len(possible) > 1 and possible[0] != "cls"):
        what = (
            "texts beside the images may be classes or captions"
            if possible == ("txt",)
            else "several keys are possible"
            if possible
            else "nothing beside the images names a class"
        )
        raise several_columns(what, possible, file=files.address)
    return possible[0]


def _cells(files: Files, names: Mapping[str, str]) -> dict[str, Any]:
    """All that lies beside an image: cls, txt, and each key of json as json.KEY."""
    cells: dict[str, Any] = {}
    for ending, name in names.items():
        data = files.head(name, MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise BadData("too large for one image", file=files.at(name), remedy="remove it")
        try:
            text = data.decode("utf-8-sig").strip()
            if ending != "json":
                cells[ending] = text
                continue
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            remedy = "write the file again, in UTF-8"
            raise BadData(
                "not valid text or JSON", file=files.at(name), value=error, remedy=remedy
            ) from error
        if isinstance(content, dict):
            cells |= {
                f"json.{key}": "" if value is None else value for key, value in content.items()
            }
        else:
            cells["json.label"] = content
    return cells
