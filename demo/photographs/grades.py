"""What the line made of the planted files: pure functions over rows, beside those of the demo (demo/grades.py).

`manifest` and `predictions` are rows by image_id (`trial/<member>`) with None for an empty cell; `review` are the rows
of the review queue. A finding is one thing that was missed, with the files to look at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from demo.grades import Grade, Rows
from demo.photographs.faults import COPY, DAMAGES, PAGE, WRONG_LABEL
from demo.photographs.planting import Planted, PlantedFile
from demo.photographs.trial_line import SOURCE
from pipeline_lib.reasons import Reason, Remark

Review = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Finding:
    """What the line missed, or did to an image that nothing was done to. words: of one line."""

    what: str
    file: PlantedFile
    words: str


@dataclass(frozen=True)
class Part:
    """Grades of one kind of fault, and its findings."""

    grades: tuple[Grade, ...]
    findings: tuple[Finding, ...] = ()


def grade_labels(manifest: Rows, review: Review, planted: Planted) -> Part:
    """Planted wrong labels among the labels that the line doubts, and among the first of its questions on labels."""
    wrong = planted.of_kind(WRONG_LABEL)
    doubted = {image for image, row in manifest.items() if row["label_issue"] != "none"}
    rank = {row["image_id"]: row["rank"] for row in review if row["kind"] == "label_issue"}
    found = [file for file in wrong if image_id(file.member) in doubted]
    n_first = min(2 * len(wrong), len(rank))
    n_asked = sum(rank.get(image_id(file.member), n_first + 1) <= n_first for file in wrong)
    words = f"{len(found)} of {len(wrong)} are among the {len(doubted)} labels that it doubts, "
    words += f"{n_asked} among the first {n_first} of {len(rank)} questions on labels"
    grades = (
        Grade("labels_planted", len(wrong)),
        Grade("labels_found", len(found), "wrong labels", words),
        Grade("labels_doubted", len(doubted)),
        Grade("labels_in_first_questions", n_asked),
        Grade("labels_first_questions", n_first),
        Grade("labels_questions", len(rank)),
        Grade("labels_recall", _share(len(found), len(wrong))),
        Grade("labels_precision", _share(len(found), len(doubted))),
    )
    missed = [file for file in wrong if file not in found]
    return Part(grades, tuple(_label_finding(file, manifest, rank) for file in missed))


def grade_copies(manifest: Rows, review: Review, planted: Planted) -> Part:
    """Copies in one group with their image, or asked about, by kind; and pairs left in two splits."""
    copies = planted.of_kind(COPY)
    grades, findings = [], []
    n_grouped = n_asked = 0
    for kind in dict.fromkeys(file.kind for file in copies):
        pairs = [file for file in copies if file.kind == kind]
        grouped = [file for file in pairs if _are_grouped(manifest, file)]
        asked = [file for file in pairs if file not in grouped and _is_asked(review, file)]
        n_grouped, n_asked = n_grouped + len(grouped), n_asked + len(asked)
        found = len(grouped) + len(asked)
        words = f"{found} of {len(pairs)}" + (f", {len(asked)} of them asked" if asked else "")
        name = kind.removeprefix(COPY)
        grades.append(Grade(f"copies_{_key(name)}", _share(found, len(pairs)), f"  {name}", words))
        missed = [file for file in pairs if file not in grouped and file not in asked]
        findings += [Finding(file.kind, file, f"copy of {file.copy_of}") for file in missed]
    words = f"{n_grouped + n_asked} of {len(copies)} found: {n_grouped} grouped, {n_asked} asked"
    in_all = (
        Grade("copies_planted", len(copies)),
        Grade("copies_found", n_grouped + n_asked, "copies", words),
    )
    return Part((*in_all, *grades), tuple(findings))


def grade_leaks(manifest: Rows, planted: Planted, alone: Mapping[str, str]) -> Part:
    """Copies that are used in another split than their image. alone: the split of each if nothing were known of others."""
    pairs = [
        (file, image_id(file.member), image_id(file.copy_of)) for file in planted.of_kind(COPY)
    ]
    leaks = [
        file
        for file, copy, image in pairs
        if _is_kept(manifest[copy])
        and _is_kept(manifest[image])
        and manifest[copy]["split"] != manifest[image]["split"]
    ]
    n_would = sum(alone[copy] != alone[image] for _, copy, image in pairs)
    words = f"{len(leaks)} left of {n_would} that would stand in training and test or validation"
    grades = (
        Grade("leaks", len(leaks), "copies across splits", words),
        Grade("leaks_planted", n_would),
    )
    return Part(grades, tuple(Finding("leak", file, f"of {file.copy_of}") for file in leaks))


def grade_damage(manifest: Rows, planted: Planted) -> Part:
    """Files that were refused with the reason, or kept with the remark, that names what is wrong with them."""
    grades, findings = [], []
    for kind, (_, code) in DAMAGES.items():
        files = planted.of_kind(kind)
        rows = {file: manifest[image_id(file.member)] for file in files}
        named = [file for file, row in rows.items() if file.code in (row["reason"], *row["flags"])]
        verb = "remarked" if code in set(Remark) else "refused"
        words = f"{len(named)} of {len(files)} {verb} as {code}"
        grades.append(Grade(f"damage_{_key(kind)}", _share(len(named), len(files)), kind, words))
        for file, row in rows.items():
            if file not in named:
                findings.append(Finding(kind, file, f"not named {code}, but {_made_of(row)}"))
    return Part(tuple(grades), tuple(findings))


def grade_pages(manifest: Rows, review: Review, planted: Planted) -> Part:
    """Pages of text among the images that a person is asked about as unlike their class, or as wrongly labelled."""
    pages = planted.of_kind(PAGE)
    kinds = ("outlier", "label_issue")
    asked = {row["image_id"] for row in review if row["kind"] in kinds}
    n_outliers = sum(row["kind"] == "outlier" for row in review)
    out = {row["image_id"] for row in review if row["kind"] == "outlier"}
    n_out = sum(image_id(file.member) in out for file in pages)
    n_label = sum(image_id(file.member) in asked - out for file in pages)
    words = f"{n_out} of {len(pages)} are among the {n_outliers} images called unlike their class"
    words += f", {n_label} more among doubted labels" if n_label else ""
    missed = [file for file in pages if image_id(file.member) not in asked]
    grades = (
        Grade("pages_planted", len(pages)),
        Grade("pages_found", n_out + n_label, "pages of text", words),
    )
    return Part(grades, tuple(Finding(PAGE, file, "not asked about") for file in missed))


def grade_untouched(manifest: Rows, planted: Planted) -> Part:
    """The images that nothing was done to: those left out, by reason. Some of them may deserve it."""
    copy_of = {file.copy_of: file.member for file in planted.of_kind(COPY)}
    own = planted.of_kind("")

    def is_used(member: str) -> bool:
        return _is_kept(manifest[image_id(member)])

    # Of an image and its planted copy one is enough.
    lost = [
        file
        for file in own
        if not is_used(file.member)
        and not (file.member in copy_of and is_used(copy_of[file.member]))
    ]
    reasons = Counter(str(manifest[image_id(file.member)]["reason"]) for file in lost)
    each = ", ".join(f"{reason} {n}" for reason, n in reasons.most_common())
    words = f"{len(lost)} of {len(own)} left out" + (f": {each}" if each else "")
    grades = (
        Grade("untouched", len(own)),
        Grade("untouched_left_out", len(lost), "your other images", words),
    )
    return Part(
        grades,
        tuple(
            Finding("left out", file, _made_of(manifest[image_id(file.member)])) for file in lost
        ),
    )


def grade_accuracy(predictions: Rows, planted: Planted, classes: Mapping[int, str]) -> Part:
    """Top-1 on the test split: against your labels, and against the labels with the planted errors."""
    files = {image_id(file.member): file for file in planted.files}
    test = {
        image: classes[row["predicted"]]
        for image, row in predictions.items()
        if row["split"] == "test" and files[image].truth
    }
    n_true = sum(files[image].truth == said for image, said in test.items())
    n_received = sum(files[image].received == said for image, said in test.items())
    on_true, on_received = _share(n_true, len(test)), _share(n_received, len(test))
    largest = max(Counter(files[image].truth for image in test).values(), default=0)
    floor = _share(largest, len(test))
    words = f"{percent(on_true)} right on {len(test)} test images, "
    words += f"{percent(on_received)} by the labels with the planted errors "
    words += f"(naming the commonest class always: {percent(floor)})"
    return Part(
        (
            Grade("top1_true", on_true, "model", words),
            Grade("top1_received", on_received),
            Grade("top1_floor", floor),
            Grade("n_test", len(test)),
        )
    )


def image_id(member: str) -> str:
    """The key of a member in every table."""
    return f"{SOURCE}/{member}"


def percent(share: float) -> str:
    """A share, 0..1, with one decimal."""
    return f"{100 * share:.1f} %"


def _label_finding(file: PlantedFile, manifest: Rows, rank: Mapping[str, int]) -> Finding:
    image = image_id(file.member)
    asked = f"question {rank[image]} of {len(rank)}" if image in rank else "not asked about"
    row = manifest[image]
    became = "" if _is_kept(row) else f", {_made_of(row)}"
    return Finding(WRONG_LABEL, file, f"lies in {file.received}, is {file.truth}; {asked}{became}")


def _are_grouped(manifest: Rows, file: PlantedFile) -> bool:
    groups = [manifest[image_id(member)]["dup_group"] for member in (file.member, file.copy_of)]
    return groups[0] is not None and groups[0] == groups[1]


def _is_asked(review: Review, file: PlantedFile) -> bool:
    """Whether one of the two is asked about with the other named as what it may be a copy of."""
    pair = {image_id(file.member), image_id(file.copy_of)}
    return any(
        row["kind"] == "near_review"
        and row["image_id"] in pair
        and any(f" {other} " in row["note"] for other in pair - {row["image_id"]})
        for row in review
    )


def _is_kept(row: Mapping[str, Any]) -> bool:
    return bool(row["decision"] == "keep")


def _made_of(row: Mapping[str, Any]) -> str:
    """The decision on a row in words."""
    if _is_kept(row):
        return f"kept for {row['split']}"
    if row["reason"] == Reason.LABEL_ISSUE:
        return f"{row['reason']}: in {row['class_id']}, looks like {row['label_suggested']}"
    twin = row["dup_group"]
    return f"{row['reason']}" + (f": in one group with {twin.partition('/')[2]}" if twin else "")


def _key(words: str) -> str:
    return re.sub("[^a-z0-9]+", "_", words.lower()).strip("_")


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
