"""The short version of benchmarks/whole/report_scale.py: a line made up by it has all that a report reads."""

from pathlib import Path

from benchmarks.support.made_line import Size
from benchmarks.whole.report_scale import measure


def test_a_report_of_a_made_up_line_has_every_page(tmp_path: Path) -> None:
    rows = measure(tmp_path, Size(images=240, classes=12, photographs=4, corrupted=24))

    pages = {one.name for one in (tmp_path / "reports/one/pages").iterdir()}
    assert {"shift.html", "groups.html", "explanations.html", "flips.html"} <= pages
    assert {one.case for one in rows} >= {"figures", "report", "report beside the one before"}
