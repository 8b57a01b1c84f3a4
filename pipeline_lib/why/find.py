"""Which image a person means: by image_id, by a file's bytes, by the beginning of a sha256, or by its name in the source."""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline_lib.errors import UsageError
from pipeline_lib.sources.names import encode_name

SHA256 = re.compile(r"[0-9a-fA-F]{6,64}")  # or its beginning
LISTED = 10  # images in one message, and copies of one image that are told of
MOST_COMPARED = 50_000  # names that are searched for one alike


@dataclass(frozen=True)
class Found:
    """image_ids: one, or all that have the same bytes. remark: what to know beside them, or ""."""

    image_ids: tuple[str, ...]
    remark: str = ""


def find_images(said: str, rows: pd.DataFrame) -> Found:
    """The image, and its copies where they have the same bytes. rows: image_id, source and sha256 of all images.

    Raises UsageError for what names none, with the nearest name, and for what names several, listing them.
    """
    ids = rows["image_id"]
    if (ids == said).any():
        return Found((said,))
    digest = _digest(Path(said).expanduser())
    found = rows[(rows["sha256"] == digest).fillna(False)] if digest else rows[:0]
    remark = ""
    if found.empty:
        found = rows[_named(said, rows)]
        if digest:
            remark = f"{said} has other bytes now than any image of the line: told is the image of that name"
    images = sorted(found["image_id"])
    if not images:
        _refuse_unknown(said, digest, ids)
    is_one = found["sha256"].notna().all() and len(set(found["sha256"])) == 1
    if len(images) > LISTED or (len(images) > 1 and not is_one):
        more = f", and {len(images) - LISTED:,} more" if len(images) > LISTED else ""
        raise UsageError(
            f"{len(images):,} images are meant",
            file=said,
            value=", ".join(images[:LISTED]) + more,
            remedy="name one by its image_id",
        )
    return Found(tuple(images), remark)


def _digest(file: Path) -> str:
    """sha256 of a file, "" where there is none."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return ""


def _named(said: str, rows: pd.DataFrame) -> pd.Series:
    """The rows whose sha256 begins like this, else those whose path in the source is this or ends with it.

    A whole path is also the end of a longer one: then both are meant, and a person says which.
    """
    if SHA256.fullmatch(said):
        by_bytes: pd.Series = rows["sha256"].str.startswith(said.lower()).fillna(False)
        if by_bytes.any():
            return by_bytes.astype(bool)
    ids = rows["image_id"].astype(str)
    stored = encode_name(said.encode("utf-8", "surrogateescape"))
    return ids.str.endswith(tuple(f"/{one}" for one in dict.fromkeys((said, stored))))


def _refuse_unknown(said: str, digest: str, ids: pd.Series) -> None:
    """Raise UsageError with the nearest name."""
    if digest:
        what = f"no image of the line has the bytes of this file (sha256 {digest})"
        remedy = "`perennial discover` shows what is new in the sources; a run takes it in"
        raise UsageError(what, file=said, remedy=remedy)
    near: list[str] = []
    if len(ids) <= MOST_COMPARED:
        short = {one.rpartition("/")[2]: one for one in ids}
        last = said.rpartition("/")[2]
        near = [short[one] for one in difflib.get_close_matches(last, short, n=3, cutoff=0.6)]
    nearest = f"; nearest are {', '.join(near)}" if near else ""
    remedy = f"name a file, an image_id, a path in the source, or the first 6 or more digits of a sha256{nearest}"
    raise UsageError("no image of the line is called so", file=said, remedy=remedy)
