"""A survey as lines for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline_lib.labels.formats import FORMATS
from pipeline_lib.sources.doubt import Doubt, Reading, in_words
from pipeline_lib.sources.layout import LAYOUTS, READS_SPLITS
from pipeline_lib.survey.label_choice import LabelsDoubt
from pipeline_lib.survey.look import Survey
from pipeline_lib.survey.subjects import SubjectOffer, Subjects

SHOWN = 10
SAME_SUBJECT = (
    "Some images seem to show the same subject, which should not appear in both train and test."
)


def describe(survey: Survey) -> str:
    """What was recognised, in a few lines."""
    at_least = "" if survey.is_complete else "at least "
    n_images = f"{at_least}{survey.n_images} images"
    lines = [
        f"{survey.uri}: {survey.kind}, {n_images}, {_size(survey.size_bytes)}",
        f"layout   {_layout(survey)}",
    ]
    if survey.labels:
        where = survey.labels.file or ", ".join(survey.labels.inside)
        lines.append(f"labels   {survey.labels_why or where}: {survey.columns}")
    if survey.classes:
        lines.append(f"classes  {len(survey.classes)}: {_counts(survey.classes)}")
    else:
        lines.append("classes  none")
    if survey.splits:
        lines.append(f"splits   {_counts(survey.splits)}")
        lines += _by_class_and_split(survey)
    if survey.extras:
        lines.append(
            f"also     {', '.join(survey.extras[:SHOWN])}: carried along in extras.parquet"
        )
    lines += [f"example  {name}: {_read_from(name, survey)}" for name in survey.examples]
    if survey.subjects.taken:
        lines.append(f"subjects {_about_subjects(survey.subjects.taken, survey.n_images)}")
    if survey.short_sides_px:
        low, high = survey.short_sides_px[0], survey.short_sides_px[-1]
        sampled = len(survey.short_sides_px)
        sizes = f"short side {low} to {high} px, median {survey.short_side_px} px"
        lines.append(f"sizes    {sizes}, of {sampled} sampled")
        lines.append(f"formats  {_counts(survey.formats)}")
    for one in survey.left_out:
        what = f": {one.what}" if one.what else ""
        lines.append(
            f"left out {one.n_files} file{'s' if one.n_files > 1 else ''} by {one.pattern}{what}"
        )
    if any(one.what for one in survey.left_out):
        lines.append("         `--exclude none` takes what was left out by itself")
    if survey.refused:
        lines.append(f"refused  {_counts(survey.refused)}")
    lines += [f"note     {problem}" for problem in survey.problems]
    if survey.subjects.offered:
        lines.append(f"note     {_suggestion(survey.subjects)}")
    return "\n".join(lines)


def _layout(survey: Survey) -> str:
    """What was recognised or said, and why."""
    keys = survey.keys
    patterns = [
        f"{what} by {pattern}"
        for what, pattern in (("class", keys.class_from), ("split", keys.split_from))
        if pattern
    ]
    meaning = " and ".join(patterns) or LAYOUTS[survey.layout].meaning
    if patterns and survey.layout in READS_SPLITS and survey.splits:
        meaning += f"; {LAYOUTS[survey.layout].meaning}"
    return f"{meaning} ({survey.why})" if survey.why else meaning


def _by_class_and_split(survey: Survey) -> list[str]:
    """One line for each of the first classes, with its images by split."""
    counts = Counter((survey.class_of[name], survey.split_of[name]) for name in survey.class_of)
    lines = []
    for label, _ in survey.classes[:SHOWN]:
        said = [f"{split} {counts[label, split]}" for split, _ in survey.splits]
        said += [f"no split {counts[label, None]}"] if counts[label, None] else []
        lines.append(f"         {label}: {', '.join(said)}")
    if len(survey.classes) > SHOWN:
        lines.append(f"         and {len(survey.classes) - SHOWN} more classes")
    return lines


def _read_from(name: str, survey: Survey) -> str:
    label, split = survey.class_of[name], survey.split_of[name]
    said = "no class" if label is None else f"class {label}"
    return said if split is None else f"{said}, split {split}"


def describe_doubt(doubt: Doubt) -> str:
    """The readings of doubtful folders, numbered, each with what it gives."""
    lines = [f"in doubt {doubt.why}"]
    for number, one in enumerate(doubt.readings, 1):
        lines += [
            f"  {number}. {one.name}: {_meaning(one)}",
            f"     {in_words(one)}",
        ]
    return "\n".join(lines)


def _meaning(reading: Reading) -> str:
    return "the class stands in the name" if reading.class_from else LAYOUTS[reading.layout].meaning


def describe_labels_doubt(doubt: LabelsDoubt) -> str:
    """The files that may tell the classes, numbered."""
    lines = [f"in doubt {doubt.why}"]
    for number, (name, stated) in enumerate(doubt.choices.items(), 1):
        meaning = FORMATS[stated.format].meaning if stated else "the folders tell the classes"
        lines.append(f"  {number}. {name}: {meaning}")
    return "\n".join(lines)


def describe_offers(subjects: Subjects) -> str:
    """The ways to tell subjects that are offered, numbered."""
    lines = [SAME_SUBJECT]
    for number, one in enumerate(subjects.offered, 1):
        lines.append(f"  {number}. {one.subject_from}: {_in_words(one)}")
    return "\n".join(lines)


def _suggestion(subjects: Subjects) -> str:
    ways = ", or ".join(
        f"`--subject '{one.subject_from}'` ({_in_words(one)})" for one in subjects.offered
    )
    return f"{SAME_SUBJECT} To keep them together, use {ways}; `--subject none` if all images are independent."


def _in_words(one: SubjectOffer) -> str:
    example = f"such as {one.example} with {one.n_example} images"
    return f"{one.what}: {one.n_subjects} subjects, {example}"


def _about_subjects(taken: SubjectOffer, n_images: int) -> str:
    example = f"such as {taken.example} with {taken.n_example} images"
    text = f"{taken.n_subjects} by {taken.subject_from}, {example}"
    if n_images > taken.n_images:
        text += f"; {n_images - taken.n_images} images have none"
    return text


def _counts(pairs: Sequence[tuple[str, int]]) -> str:
    shown = ", ".join(f"{name} {count}" for name, count in pairs[:SHOWN])
    if len(pairs) > SHOWN:
        return f"{shown}, and {len(pairs) - SHOWN} more"
    return shown


def _size(size_bytes: float) -> str:
    """Decimal units, as disks have them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
