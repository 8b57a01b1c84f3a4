"""A survey as lines for a person."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline_lib.sources.doubt import Doubt, in_words
from pipeline_lib.sources.layout import LAYOUTS
from pipeline_lib.survey.look import Survey

SHOWN = 10


def describe(survey: Survey) -> str:
    """What was recognised, in a few lines."""
    more = "" if survey.is_complete else "at least "
    lines = [
        f"{survey.uri}: {survey.kind}, {more}{survey.n_images} images, {_size(survey.size_bytes)}",
        f"layout   {LAYOUTS[survey.layout].meaning}",
        *([f"labels   {survey.labels}: {survey.columns}"] if survey.labels else []),
        f"classes  {len(survey.classes)}: {_counts(survey.classes)}" if survey.classes else "classes  none",
    ]
    if survey.splits:
        lines.append(f"splits   {_counts(survey.splits)}")
    if survey.short_sides_px:
        low, high = survey.short_sides_px[0], survey.short_sides_px[-1]
        sampled = len(survey.short_sides_px)
        sizes = f"short side {low} to {high} px, median {survey.short_side_px} px"
        lines.append(f"sizes    {sizes}, of {sampled} sampled")
        lines.append(f"formats  {_counts(survey.formats)}")
    if survey.refused:
        lines.append(f"refused  {_counts(survey.refused)}")
    return "\n".join([*lines, *(f"note     {problem}" for problem in survey.problems)])


def describe_doubt(doubt: Doubt) -> str:
    """The readings of doubtful folders, numbered, each with what it gives."""
    lines = [f"in doubt {doubt.why}"]
    for number, one in enumerate(doubt.readings, 1):
        lines += [f"  {number}. {one.layout}: {LAYOUTS[one.layout].meaning}", f"     {in_words(one)}"]
    return "\n".join(lines)


def _counts(pairs: Sequence[tuple[str, int]]) -> str:
    shown = ", ".join(f"{name} {count}" for name, count in pairs[:SHOWN])
    return shown + (f", and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else "")


def _size(size_bytes: float) -> str:
    """Decimal units, as disks have them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
