"""Where a report lies below the folder of reports. Light: whoever only names a path need not load pandas."""

from __future__ import annotations

REPORT = "report.html"  # the first page
KEY_CHARACTERS = 12  # of a registration key in the name of its report's folder


def report_of(key: str) -> str:
    """The first page of the report of a registration key."""
    return f"{key[:KEY_CHARACTERS]}/{REPORT}"
