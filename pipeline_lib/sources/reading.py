"""Class and split of every image of a source, as params.yaml says that names are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline_lib.errors import BadData
from pipeline_lib.sources.layout import LAYOUTS, FolderLayout, detect_layout
from pipeline_lib.sources.name_patterns import fields_by_name, has_field, left_out_by
from pipeline_lib.sources.names import class_name
from pipeline_lib.sources.split_names import split_names

SHOWN = 5
PATTERN_MEANING = (
    "{class} is the longest text that fits, {split} a folder or one word, * any text, ? one character; folders are counted "
    "from the image upwards, as in '{class}_*' or '{split}/{class}/*'"
)


class Stated(Protocol):
    """The keys of a source, in params.yaml or on the command line, that say how names are read."""

    @property
    def layout(self) -> str: ...
    @property
    def splits(self) -> Mapping[str, str] | None: ...
    @property
    def depth(self) -> int | None: ...
    @property
    def class_from(self) -> str | None: ...
    @property
    def split_from(self) -> str | None: ...
    @property
    def include(self) -> Sequence[str]: ...
    @property
    def exclude(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class NameReading:
    """layout: how folders are read. class_text_of, split_of: what patterns read in their place, by name; None without.

    class_text_of: the text of the name that is the class, as spelled there. split_of: train, val or test.
    """

    layout: FolderLayout
    class_text_of: Mapping[str, str] | None = None
    split_of: Mapping[str, str] | None = None

    def label(self, name: str) -> str | None:
        """The class of an image; None if it has none."""
        text = self.class_text(name)
        return None if text is None else class_name(text)

    def class_text(self, name: str) -> str | None:
        """The class as spelled in the name."""
        by_pattern = self.class_text_of
        return self.layout.class_folder(name) if by_pattern is None else by_pattern.get(name)

    def split(self, name: str) -> str | None:
        """The split of an image: train, val or test."""
        return self.layout.split(name) if self.split_of is None else self.split_of.get(name)


def read_names(names: Sequence[str], stated: Stated, *, source: str) -> NameReading:
    """Read the names of all images of a source. source: for messages.

    Raises BadData for a pattern that fits no image, a text that is no split, two patterns that contradict each other, a
    depth below every image, and folders of `splits` that do not exist beside others that are not stated.
    """
    _refuse_depth(names, stated.depth, source)
    reads_split = stated.split_from is not None or has_field(stated.class_from, "split")
    splits = None if reads_split else stated.splits
    layout = detect_layout(names, stated.layout, splits, stated.depth)
    _refuse_unknown_splits(names, layout, source)

    # What patterns read comes in place of what folders say.
    by_class = _fields(names, "class_from", stated.class_from, source)
    by_split = _fields(names, "split_from", stated.split_from, source)
    texts = _one_split(by_class, by_split, source)
    split_of = None
    if reads_split:
        meaning = _meaning(set(texts.values()), stated.splits, source)
        split_of = {name: meaning[text] for name, text in texts.items() if text in meaning}
    class_text_of = None
    if stated.class_from is not None:
        is_elsewhere = (
            texts.keys() - (split_of or {}).keys()
        )  # in a folder that `splits` leaves out
        class_text_of = {
            name: fields["class"] for name, fields in by_class.items() if name not in is_elsewhere
        }
    return NameReading(layout, class_text_of, split_of)


def left_out(names: Iterable[str], stated: Stated) -> dict[str, str]:
    """Name -> why, for the names that `include` and `exclude` leave out."""
    if not stated.include and not stated.exclude:
        return {}
    return _given((name, left_out_by(name, stated.include, stated.exclude)) for name in names)


def patterns_without_effect(names: Collection[str], stated: Stated) -> list[str]:
    """The patterns of `include` and `exclude` that fit no file."""
    lacking = [
        f"exclude {one}"
        for one in stated.exclude
        if not any(left_out_by(n, (), [one]) for n in names)
    ]
    return lacking + [
        f"include {one}" for one in stated.include if all(left_out_by(n, [one], ()) for n in names)
    ]


def _given(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    return {name: text for name, text in pairs if text is not None}


def _fields(
    names: Sequence[str], key: str, pattern: str | None, source: str
) -> dict[str, Mapping[str, str]]:
    if pattern is None:
        return {}
    found = dict(fields_by_name(pattern, names))
    if not found:
        what = f"{key} of source {source} fits none of its {len(names)} images, such as {names[0] if names else 'none'}"
        raise BadData(what, file="discover.sources", value=pattern, remedy=PATTERN_MEANING)
    return found


def _one_split(
    by_class: Mapping[str, Mapping[str, str]],
    by_split: Mapping[str, Mapping[str, str]],
    source: str,
) -> dict[str, str]:
    """The text for the split that either pattern reads. Raises BadData where both read one, and another."""
    raw = {name: fields["split"] for name, fields in by_class.items() if "split" in fields}
    for name, fields in by_split.items():
        said = raw.setdefault(name, fields["split"])
        if said != fields["split"]:
            value = f"{name}: {said} by class_from, {fields['split']} by split_from"
            what = f"class_from and split_from of source {source} contradict each other"
            remedy = "leave {split} out of class_from, or leave split_from away"
            raise BadData(what, file="discover.sources", value=value, remedy=remedy)
    return raw


def _meaning(
    texts: Collection[str], splits: Mapping[str, str] | None, source: str
) -> Mapping[str, str]:
    """The split that each text stands for. Raises BadData for what is none, where params.yaml does not state them."""
    if splits:
        if absent := sorted(splits.keys() - texts):
            raise _unknown(absent, texts, source)
        return splits
    meaning = split_names(texts) | {
        text: split_names([text])[text] for text in texts if split_names([text])
    }
    if strange := sorted(set(texts) - meaning.keys()):
        remedy = f"say what they stand for: splits: {{{strange[0]}: train}} of the source in params.yaml (`--splits`)"
        what = f"the patterns of source {source} read texts that are no splits"
        raise BadData(what, file="discover.sources", value=_some(strange), remedy=remedy)
    return meaning


def _refuse_depth(names: Sequence[str], depth: int | None, source: str) -> None:
    deepest = max(names, key=lambda name: name.count("/"), default="")
    if depth is not None and names and depth >= max(deepest.count("/"), 1):
        what = f"depth of source {source} is below every image: the deepest lies in {deepest.count('/')} folders"
        remedy = f"state a depth under {max(deepest.count('/'), 1)}: the folders above the first that tells"
        raise BadData(what, file="discover.sources", value=f"{depth}, {deepest}", remedy=remedy)


def _refuse_unknown_splits(names: Sequence[str], layout: FolderLayout, source: str) -> None:
    """A folder that `splits` names and no image lies in, beside folders that it does not name, is misspelt."""
    at = LAYOUTS[layout.kind].split_at
    if not layout.splits or at is None:
        return
    at += layout.depth
    there = Counter(
        parts[at] for name in names if len(parts := tuple(name.split("/")[:-1])) > at
    ).keys()
    absent = sorted(layout.splits.keys() - there)
    if absent and there - layout.splits.keys():
        raise _unknown(absent, there, source)


def _unknown(absent: Sequence[str], there: Collection[str], source: str) -> BadData:
    what = f"splits of source {source} names folders that hold no image"
    remedy = f"name some of those that exist: {_some(sorted(there))}"
    return BadData(what, file="discover.sources", value=_some(absent), remedy=remedy)


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:SHOWN]) + (", ..." if len(texts) > SHOWN else "")
