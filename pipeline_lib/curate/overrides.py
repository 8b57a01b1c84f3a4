"""curation/overrides.csv: what people decided, one line each, tracked by git. They win over votes, rules and models.

Strict: a line that names nothing, speaks of a label that has changed meanwhile, or contradicts another line stops the
stage. The functions that resolve lines collect such faults; `refuse_faults` lists all of them in one error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from unicodedata import normalize

import pandas as pd

from pipeline_lib.curate.curation_files import read_lines
from pipeline_lib.errors import BadData, ConfigError
from pipeline_lib.files.csv_cells import plain
from pipeline_lib.tables.manifest import SPLITS

COLUMNS = ("key_type", "key", "action", "value", "expected_old", "reason", "author", "date")
IMAGE_KEYS = ("image_id", "sha256")
CLASS_KEYS = ("class_id",)
IMAGE_ACTIONS = ("relabel", "keep", "remove", "split", "not_duplicate")
CLASS_ACTIONS = ("merge_class", "rename_class", "exclude_class")
NEED_VALUE = ("relabel", "split", "merge_class", "rename_class")

EXPECTED_COLUMNS = ["image_id", "line", "action", "expected_old"]

Fault = tuple[int, str]  # number of the line, what is wrong with it


@dataclass(frozen=True)
class Override:
    """One line of the file. line: its number, 1 is the header."""

    line: int
    key_type: str
    key: str
    action: str
    value: str
    expected_old: str


@dataclass(frozen=True)
class ClassChanges:
    """new_name: received class -> class it becomes (merged or renamed). excluded: classes left out, as received."""

    new_name: dict[str, str]
    excluded: frozenset[str]
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class ImageChanges:
    """frame: index image_id (only images touched); relabel, split (value or NaN); keep, remove, not_duplicate (bool).

    expected: one row per line that guards itself: image_id, line, action, expected_old.
    """

    frame: pd.DataFrame
    expected: pd.DataFrame
    faults: tuple[Fault, ...] = ()


def parse_overrides(text: str, file: Path) -> tuple[Override, ...]:
    """Read the file's text. Raises ConfigError listing every malformed line."""
    faults: list[Fault] = []
    found: list[Override] = []
    for number, cells in read_lines(text, file, COLUMNS):
        if isinstance(cells, str):
            faults.append((number, cells))
            continue
        values = [plain(cell) for cell in cells]
        if values[0].startswith("#"):
            continue
        if fault := _malformed(values):
            faults.append((number, fault))
        else:
            found.append(_override(number, values))
    if faults:
        remedy = "fix these lines; docs/overrides.md shows one of each kind"
        raise ConfigError(_count(faults), file=file, value=_listed(faults), remedy=remedy)
    return tuple(found)


def class_changes(overrides: Iterable[Override], known: set[str]) -> ClassChanges:
    """Resolve merge_class, rename_class and exclude_class. known: classes received or voted for."""
    becomes: dict[str, Override] = {}  # merged or renamed class -> the line that says so
    excluded: dict[str, Override] = {}
    faults: list[Fault] = []

    # Each line by itself: the classes it names must be there, or must not.
    for o in overrides:
        if o.action not in CLASS_ACTIONS:
            continue
        if o.key not in known:
            faults.append((o.line, f"no class {o.key!r} was received"))
        if o.action == "merge_class" and o.value not in known:
            faults.append(
                (o.line, f"no class {o.value!r} to merge into; rename_class makes a new one")
            )
        if o.action == "rename_class" and o.value in known:
            faults.append((o.line, f"class {o.value!r} exists; use merge_class"))
        earlier = becomes.get(o.key)
        if o.action == "exclude_class":
            excluded[o.key] = o
        elif earlier and earlier.value != o.value:
            faults.append(
                (o.line, f"contradicts line {earlier.line}: class {o.key!r} becomes two classes")
            )
        else:
            becomes[o.key] = o

    # All lines together: no chains, and nothing that is both renamed and excluded.
    gone = excluded | becomes
    for old, o in becomes.items():
        if old in excluded:
            faults.append(
                (o.line, f"contradicts line {excluded[old].line}: class {old!r} is excluded")
            )
        if o.value in gone:
            by = gone[o.value].line
            faults.append(
                (o.line, f"class {o.value!r} is itself merged, renamed or excluded by line {by}")
            )
    new_name = {old: o.value for old, o in becomes.items()}
    return ClassChanges(new_name, frozenset(excluded), tuple(faults))


def image_changes(
    overrides: Iterable[Override], rows: pd.DataFrame, classes: Iterable[str]
) -> ImageChanges:
    """Resolve relabel, keep, remove, split and not_duplicate to images.

    rows: sha256, pixel_hash and refusal by image_id. classes: the classes an image may be given. Faults: keys that
    name no image, unknown classes, contradictions, orders to use an image that cannot be used.
    """
    lines = [o for o in overrides if o.action in IMAGE_ACTIONS]
    named = _named_images(lines, rows)
    classes = set(classes)
    refusals = rows["refusal"].dropna().to_dict()
    twins = _with_twins(rows) if lines else frozenset()

    faults: list[Fault] = []
    orders: dict[
        tuple[str, str], Override
    ] = {}  # (image_id, action) -> the first line that says so
    expected: list[tuple[str, int, str, str]] = []  # the columns of ImageChanges.expected
    for o in lines:
        images = named.get((o.key_type, o.key), [])
        if not images:
            faults.append((o.line, f"no image has {o.key_type} {o.key!r}"))
        if o.action == "relabel" and o.value not in classes:
            faults.append((o.line, f"there is no class {o.value!r}"))
        for image_id in images:
            faults += _clashes(o, image_id, orders)
            orders.setdefault((image_id, o.action), o)
            if o.action != "remove" and image_id in refusals:
                faults.append((o.line, f"{image_id} cannot be used ({refusals[image_id]})"))
            if o.action == "not_duplicate" and image_id in twins:
                faults.append((o.line, f"{image_id} has the very pixels of another image"))
            if o.expected_old:
                expected.append((image_id, o.line, o.action, o.expected_old))
    return ImageChanges(
        _effects(orders), pd.DataFrame(expected, columns=EXPECTED_COLUMNS), tuple(faults)
    )


def stale_lines(
    changes: ImageChanges, *, labels: pd.Series, splits: pd.Series
) -> tuple[Fault, ...]:
    """Lines that expect another class (or split) than the image has without overrides."""
    faults: list[Fault] = []
    for image_id, line, action, expected_old in changes.expected.itertuples(index=False):
        without_overrides = splits if action == "split" else labels
        now = without_overrides.get(image_id)
        if now != expected_old:
            said = now if isinstance(now, str) else "unlabelled"
            faults.append((line, f"{image_id} is now {said}, not {expected_old}"))
    return tuple(faults)


def refuse_faults(*faults: Fault, file: Path) -> None:
    """Raise BadData listing all faults in the order of their lines, unless there is none."""
    if faults:
        remedy = "fix or delete these lines; after a change of the data look at these images again, then at expected_old"
        raise BadData(_count(faults), file=file, value=_listed(faults), remedy=remedy)


def _override(line: int, values: list[str]) -> Override:
    """A well-formed line. Names of classes are composed (NFC), as `download` has them."""
    key_type, key, action, value, expected_old = values[:5]
    key = normalize("NFC", key) if key_type in CLASS_KEYS else key
    return Override(
        line, key_type, key, action, normalize("NFC", value), normalize("NFC", expected_old)
    )


def _malformed(values: list[str]) -> str:
    if len(values) != len(COLUMNS):
        return f"{len(values)} cells instead of {len(COLUMNS)}"
    key_type, key, action, value, _, _, _, day = values

    # What the action may be said of.
    actions = IMAGE_ACTIONS + CLASS_ACTIONS
    if action not in actions:
        return f"no such action {action!r}, one of {', '.join(actions)}"
    fitting = CLASS_KEYS if action in CLASS_ACTIONS else IMAGE_KEYS
    if key_type not in fitting:
        return f"key_type of {action} must be {' or '.join(fitting)}, not {key_type!r}"
    if not key:
        return "the key is empty"

    # What it needs beside that.
    if (action in NEED_VALUE) != bool(value):
        return f"{action} {'needs a' if action in NEED_VALUE else 'takes no'} value"
    if action == "split" and value not in SPLITS:
        return f"no such split {value!r}, one of {', '.join(SPLITS)}"
    if day and not _is_date(day):
        return f"the date {day!r} is not like 2026-11-21"
    return ""


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _named_images(
    lines: Iterable[Override], rows: pd.DataFrame
) -> dict[tuple[str, str], list[str]]:
    """(key_type, key) -> the images it names, found in one pass over the rows for all lines."""
    wanted = {kind: {o.key for o in lines if o.key_type == kind} for kind in IMAGE_KEYS}
    ids = rows.index[rows.index.isin(wanted["image_id"])]
    named = {("image_id", key): [key] for key in ids}
    hashes = rows.loc[rows["sha256"].isin(wanted["sha256"]), "sha256"]
    for sha256, part in hashes.groupby(hashes):
        named["sha256", str(sha256)] = list(part.index)
    return named


def _with_twins(rows: pd.DataFrame) -> frozenset[str]:
    """The images whose very pixels another one has too."""
    shared = rows["pixel_hash"].duplicated(keep=False) & rows["pixel_hash"].notna()
    return frozenset(rows.index[shared])


def _clashes(o: Override, image_id: str, orders: dict[tuple[str, str], Override]) -> list[Fault]:
    """How a line contradicts earlier ones on the same image."""
    earlier = {
        action: orders[image_id, action] for action in IMAGE_ACTIONS if (image_id, action) in orders
    }

    # The same order with another value, and a removal beside any other order.
    contradicted: list[Override] = []
    same = earlier.get(o.action)
    if same and same.value != o.value:
        contradicted.append(same)
    for action, other in earlier.items():
        if (action == "remove") != (o.action == "remove"):
            contradicted.append(other)
    return [(o.line, f"contradicts line {other.line} on {image_id}") for other in contradicted]


def _effects(orders: dict[tuple[str, str], Override]) -> pd.DataFrame:
    """The frame of ImageChanges."""
    ids = sorted({image_id for image_id, _ in orders})
    frame = pd.DataFrame(index=pd.Index(ids, name="image_id", dtype="str"))
    for action in ("relabel", "split"):
        values = [orders[i, action].value if (i, action) in orders else None for i in ids]
        frame[action] = pd.array(values, dtype="str")
    for action in ("keep", "remove", "not_duplicate"):
        frame[action] = [(i, action) in orders for i in ids]
    return frame


def _count(faults: Sequence[Fault]) -> str:
    return f"{len(faults)} wrong line{'s' if len(faults) > 1 else ''}"


def _listed(faults: Sequence[Fault]) -> str:
    in_order = sorted(faults, key=lambda fault: fault[0])
    return "; ".join(f"line {line}: {what}" for line, what in in_order)
