"""The pages behind the first one: the images of every class, cell, figure, rule and reason. What they hold, not how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline_lib.reasons import Reason
from pipeline_lib.registry import RuleName
from pipeline_lib.remedies import remedy_of
from pipeline_lib.report.answers import CONFIRMED, DOUBTED, override_line
from pipeline_lib.report.confusion import cell_address
from pipeline_lib.report.galleries import MOST, Card, Gallery, LeftOut, in_percent

MISTAKES, FLIPS, BEYOND_FIVE, CONFIDENCE = (
    "mistakes.html",
    "flips.html",
    "beyond-five.html",
    "confidence.html",
)
CLASSES, CHANGES, DATA, LABELS, DUPLICATES, LEFT_OUT, WORDS, GROUPS = (
    "classes.html",
    "changes.html",
    "data.html",
    "labels.html",
    "duplicates.html",
    "left-out.html",
    "words.html",
    "groups.html",
)
OF_RULE: dict[str, str] = {  # the images that speak for or against a model
    RuleName.EVERY_IMAGE_ONCE: CLASSES,
    RuleName.UNSEEN_IMAGES: DUPLICATES,
    RuleName.FLOOR: MISTAKES,
    RuleName.AS_GOOD: FLIPS,
    RuleName.NO_CLASS_LOST: CHANGES,
    RuleName.BETTER_THAN_TWIN: FLIPS,
    RuleName.NEAR_REFERENCE: MISTAKES,
}
Bools = npt.NDArray[np.bool_]
BINS = 10  # of confidence
SHOWN_IN_BIN = 24


@dataclass(frozen=True)
class Section:
    """Images under one heading. name: of a class, behind the title. empty: what stands there when there is none."""

    anchor: str
    title: str
    gallery: Gallery
    lead: str = ""
    empty: str = "None."
    name: str = ""


@dataclass(frozen=True)
class Page:
    """Sections of images under a title."""

    file: str
    title: str
    lead: str
    sections: tuple[Section, ...]


def answer_card(row: Mapping[Any, Any]) -> Card:
    """The card of one row of `read_answers`, with what the champion said where `champion` holds it."""
    notes = [f"label {in_percent(row['p_true'])}"]
    if not row["correct"]:
        notes.append(f"answer {in_percent(row['p_predicted'])}")
    if row.get("champion"):
        notes.append(f"the champion said {row['champion']}")
    doubt, line = "", ""
    if row["label_state"] == DOUBTED:
        sure = in_percent(row["p_suggested"])
        doubt = f"label doubted: looks like {row['suggested_name']} ({sure})"
        line = override_line(row, given=row["true_class"])
    elif row["label_state"] == CONFIRMED:
        notes.append("a person confirmed the label")
    now = "" if row["correct"] else row["predicted_name"]
    note = "\n".join(notes)
    return Card(
        row["image_id"],
        row["sha256"],
        row["path"],
        row["true_name"],
        now,
        note,
        doubt,
        line,
        href=cell_address(row["label"], row["predicted"]),
    )


def gallery_of(rows: pd.DataFrame, most: int = MOST) -> Gallery:
    """The first `most` rows as cards."""
    return Gallery(tuple(answer_card(row) for row in _records(rows.head(most))), len(rows))


def mistakes_page(answers: pd.DataFrame) -> Page:
    """Every wrong answer: those whose label is doubtful apart from those of a label that nothing speaks against."""
    wrong = answers[~answers["correct"]]
    doubted = wrong["label_state"] == DOUBTED
    lead = "Label → answer, with the probability that the model gives to each; the least probable label first."
    return Page(
        MISTAKES,
        "Mistakes",
        lead,
        (
            Section(
                "doubted",
                "The label is doubtful",
                gallery_of(wrong[doubted]),
                "Predictors that never saw the image prefer another class than its label. If the suggestion is right, "
                "copy the line into curation/overrides.csv and run again.",
                "No label of a mistake is doubted.",
            ),
            Section(
                "wrong",
                "The model is wrong",
                gallery_of(wrong[~doubted]),
                "Nothing speaks against the label.",
                "The model made no other mistake.",
            ),
        ),
    )


def flips_page(answers: pd.DataFrame, champion: int) -> Page:
    """What changed against the champion: right to wrong first."""
    lost, won = flips(answers)
    return Page(
        FLIPS,
        f"Changed since version {champion}",
        "The test images on which one of the two models is right and the other wrong.",
        (
            Section(
                "lost",
                "Right before, wrong now",
                gallery_of(answers[lost]),
                f"Only version {champion} is right.",
                "No image that the champion has right is wrong now.",
            ),
            Section(
                "won",
                "Wrong before, right now",
                gallery_of(answers[won]),
                "Only this model is right.",
                "No image that the champion has wrong is right now.",
            ),
        ),
    )


def beyond_five_page(answers: pd.DataFrame) -> Page:
    """The images whose class is not among the five most probable ones."""
    beyond = answers[~answers["among_five"]]
    section = Section(
        "beyond", "Not among the first five", gallery_of(beyond), empty="There is no such image."
    )
    lead = "Images whose true class is not among the model's five most probable classes."
    return Page(BEYOND_FIVE, "Beyond the first five", lead, (section,))


def confidence_page(answers: pd.DataFrame) -> Page:
    """Answers by the probability they were given with: how often each tenth is right, and where it is not."""
    number = np.minimum((answers["p_predicted"].to_numpy() * BINS).astype(int), BINS - 1)
    sections = []
    for place in reversed(range(BINS)):
        rows = answers[number == place]
        if rows.empty:
            continue
        right = int(rows["correct"].sum())
        title = f"{100 * place // BINS} to {100 * (place + 1) // BINS} % sure"
        lead = (
            f"{right:,} of {len(rows):,} answers are right ({100 * right / len(rows):.1f} %); "
            f"on average the model is {100 * rows['p_predicted'].mean():.1f} % sure of them."
        )
        wrong = gallery_of(rows[~rows["correct"]], SHOWN_IN_BIN)
        sections.append(Section(f"bin-{place}", title, wrong, lead, "All of them are right."))
    lead = "A calibrated model is right as often as it is sure. The wrong answers, by how sure the model was."
    return Page(CONFIDENCE, "Confidence", lead, tuple(sections))


def labels_page(issues: Gallery, changed: Gallery, *, no_doubt: str) -> Page:
    """Labels that are doubted, of all splits, and labels that votes changed."""
    lead = "Given → suggested. A suggestion comes from predictors that never saw the image; a person decides."
    return Page(
        LABELS,
        "Labels",
        lead,
        (
            Section(
                "review",
                "To review",
                issues,
                "Copy a line into curation/overrides.csv, or let perennial review ask all questions on a page with keys.",
                no_doubt,
            ),
            Section(
                "votes",
                "Changed by the annotators' votes",
                changed,
                "Received → decided, least certain first.",
                "No label was changed by votes.",
            ),
        ),
    )


def left_out_page(found: Sequence[LeftOut]) -> Page:
    """The images that were not kept, by reason."""
    sections = tuple(
        Section(
            one.reason,
            one.reason.replace("_", " "),
            one.gallery,
            _why_left_out(one),
        )
        for one in found
    )
    lead = "Images that were found and not kept, by their first reason."
    return Page(
        LEFT_OUT, "Left out", lead if found else "Every image that was found is kept.", sections
    )


def _why_left_out(found: LeftOut) -> str:
    """What the reason means, and what fixes a fault."""
    try:
        reason = Reason(found.reason)
    except ValueError:  # of another release
        return ""
    meaning = reason.meaning[0].upper() + reason.meaning[1:]
    if found.decision != "quarantine":
        return f"{meaning}. Removed: a choice, nothing has to be done."
    remedy = remedy_of(reason)
    return f"{meaning}. Quarantined: a fault that can be fixed; {remedy}."


def flips(answers: pd.DataFrame) -> tuple[Bools, Bools]:
    """Right to wrong, wrong to right, by row, among the images of classes that both models know."""
    if "champion" not in answers:
        none = np.zeros(len(answers), bool)
        return none, none
    right = answers["correct"].to_numpy(bool)
    before = answers["champion_right"].to_numpy(bool)
    return before & ~right, answers["shared"].to_numpy(bool) & ~before & right


def _records(rows: pd.DataFrame) -> list[dict[Any, Any]]:
    found: list[dict[Any, Any]] = rows.to_dict("records")
    return found
