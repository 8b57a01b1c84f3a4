"""Name the columns of a table whose first line is about an image already: `TRAIN,gs://bucket/1.jpg,cat` of Vertex AI."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline_lib.sources.names import is_image_name
from pipeline_lib.sources.split_names import SPLIT_FOLDERS

IMAGE, LABEL, SPLIT = "image", "label", "split"
NO_SPLIT = "unassigned"  # of AutoML: the split is to be drawn


def is_about_an_image(cells: Sequence[str]) -> bool:
    """Whether a first line names an image, and so no columns."""
    return any(map(is_image_name, cells))


def columns_of(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The names of the columns, from the first rows: image, split, and label where one column is left, else `column 3`, ..."""
    width = max(map(len, rows))
    cells = [[row[at].strip() if at < len(row) else "" for row in rows] for at in range(width)]
    image = max(range(width), key=lambda at: sum(map(is_image_name, cells[at])))
    others = [at for at in range(width) if at != image]
    splits = [at for at in others if all(map(_is_split, cells[at]))] if len(others) > 1 else []
    names = {image: IMAGE} | dict.fromkeys(splits[:1], SPLIT)
    left = [at for at in range(width) if at not in names]
    names |= {at: LABEL if len(left) == 1 else f"column {at + 1}" for at in left}
    return tuple(names[at] for at in range(width))


def _is_split(cell: str) -> bool:
    return cell.lower() in SPLIT_FOLDERS or cell.lower() == NO_SPLIT
