"""Where reports and comparisons lie. Light: whoever only names a path need not load pandas."""

from __future__ import annotations

REPORT = "report.html"  # the first page
KEY_CHARACTERS = 12  # of a registration key in the name of its report's folder
COMPARISONS = "comparisons"  # folder beside that of the reports
COMPARISON = "compare.html"


def report_of(key: str) -> str:
    """The first page of the report of a registration key."""
    return f"{key[:KEY_CHARACTERS]}/{REPORT}"


def comparison_of(a: str, b: str) -> str:
    """The page that compares two models, below the folder of comparisons. a, b: as `perennial compare` names them."""
    return f"{a}--{b}/{COMPARISON}"


def version_name(number: int) -> str:
    """A version in the name of a folder."""
    return f"version-{number}"
