"""Take one image out of every report: its thumbnail, its place on the pages, its line in mistakes.csv.

For a person's wish to be forgotten. Reports that left this folder (copies, archives, mail) are out of reach.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

from pipeline_lib.errors import UsageError
from pipeline_lib.files.atomic import write_text
from pipeline_lib.report.thumbnails import KEY_CHARACTERS
from pipeline_lib.report.write import PAGES, TABLE, THUMBNAILS

SHA256 = re.compile(r"[0-9a-f]{64}")
ERASED = '<figure><div class="none">erased</div></figure>'


def erase_from_reports(reports: Path, sha256: str) -> int:
    """Erase the image with these bytes, under whatever names, and return how many files held it.

    reports: the folder of all reports, or of all comparisons. Raises UsageError for what is no sha256.
    """
    if not SHA256.fullmatch(sha256):
        remedy = "name the sha256 of the image's bytes, 64 hex digits, as in mistakes.csv or manifest.parquet"
        raise UsageError("not a sha256", file="--erase", value=sha256, remedy=remedy)
    key = sha256[:KEY_CHARACTERS]
    card = re.compile(rf'<figure data-i="{key}">.*?</figure>', re.DOTALL)
    n_files = 0
    for folder in sorted(one for one in reports.glob("*") if one.is_dir() and not one.is_symlink()):
        for image in sorted((folder / THUMBNAILS).glob(f"{key}-*")):
            image.unlink()
            n_files += 1
        for page in [*sorted(folder.glob("*.html")), *sorted((folder / PAGES).glob("*.html"))]:
            n_files += _rewritten(page, lambda text: card.sub(ERASED, text))
        n_files += _rewritten(folder / TABLE, lambda text: _without(text, sha256))
    return n_files


def _without(text: str, sha256: str) -> str:
    """mistakes.csv without the lines of an image."""
    if sha256 not in text:
        return text
    head, *lines = csv.reader(io.StringIO(text))
    at = head.index("sha256")
    written = io.StringIO(newline="")
    kept = [line for line in lines if line[at] != sha256]
    csv.writer(written, lineterminator="\n").writerows([head, *kept])
    return written.getvalue()


def _rewritten(file: Path, change: Callable[[str], str]) -> bool:
    """Change a file's text, and say whether that changed anything."""
    if not file.is_file():
        return False
    text = file.read_text(encoding="utf-8")
    changed = change(text)
    if changed != text:
        write_text(file, changed)
    return changed != text
