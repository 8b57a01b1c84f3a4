"""Zip archives that compress well."""

from __future__ import annotations

import zipfile
from pathlib import Path


def deflated_zip(path: Path, name: str, size_bytes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/ok.jpg", b"data" * 100)
        archive.writestr(name, bytes(size_bytes))
    return path
