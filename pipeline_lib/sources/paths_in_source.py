"""The name of an image as its source spells it, for people."""

from __future__ import annotations

from pipeline_lib.sources.names import decode_name


def path_in_source(image_id: str, source: str) -> str:
    """The path as the source spells it; bytes that are no UTF-8 stay escaped."""
    stored = image_id.removeprefix(f"{source}/")
    try:
        return decode_name(stored).decode()
    except UnicodeDecodeError:
        return stored
