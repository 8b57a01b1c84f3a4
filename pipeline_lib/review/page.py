"""Lay out the review page: one HTML file that asks for nothing from any network and writes nothing but a download.

What comes from data goes into JSON blocks, which the script puts on the page as text. The browser runs one script and
one style sheet only, named by their digests. Images lie in blocks of 100, read when one of them is shown.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline_lib.curate.overrides import COLUMNS
from pipeline_lib.review.questions import COPIES, Question, Questions
from pipeline_lib.safe_text import shown

TEMPLATES = Path(__file__).parent / "templates"
PALETTE = Path(__file__).parents[1] / "report" / "templates" / "palette.css"
BLOCK = 100  # images


@dataclass(frozen=True)
class Kind:
    """How a kind of question is put. first: what key 1 says of the image, and the action it stands for."""

    title: str
    ask: str
    first: tuple[str, str] = ("keep", "Label is right")


WORDS = {
    "label_issue": Kind("Labels", "Is this label right?"),
    "need_more_votes": Kind("Votes", "The votes do not settle it. What is it?"),
    "to_label": Kind("To label", "This image has no label. What is it?"),
    "duplicate_conflict": Kind(
        "Conflicts", "Copies of this image have different labels. What is it?"
    ),
    "near_duplicate": Kind(
        "Copies", "Is this the same image as the ones beside it?", ("copy", "It is a copy")
    ),
    "outlier": Kind(
        "Outliers", "This image is unlike the others of its class. Is its label right?"
    ),
    "quarantined": Kind("Quarantine", "This image was set aside. What should become of it?"),
    "quality": Kind("Quality", "The image is poor. Is it still good enough, and its label right?"),
}


def render_page(found: Questions, *, name: str) -> str:
    """The page. name: what is reviewed, for its title."""
    numbers = {
        image_id: number
        for number, image_id in enumerate(i for i in found.images if found.images[i])
    }
    blocks = [list(numbers)[start : start + BLOCK] for start in range(0, len(numbers), BLOCK)]
    script, style = (
        _source("answers.js") + _source("page.js"),
        PALETTE.read_text(encoding="utf-8") + _source("review.css"),
    )
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("review.html.jinja").render(
        name=shown(name),
        n=len(found.asked),
        total=sum(found.totals.values()),
        script=Markup(script),  # noqa: S704 - our own file
        style=Markup(style),  # noqa: S704
        script_digest=_digest(script),
        style_digest=_digest(style),
        data=_json(_data(found, numbers, name)),
        blocks=[_json([found.images[image_id] for image_id in block]) for block in blocks],
    )


def _data(found: Questions, numbers: dict[str, int], name: str) -> dict[str, Any]:
    kinds = {
        kind: asdict(WORDS.get(kind, Kind(kind.replace("_", " "), "Is this label right?")))
        for kind in found.totals
    }
    return {
        "name": name,
        "store": "perennial-review:"
        + hashlib.sha256("\n".join(found.sources).encode()).hexdigest()[:12],
        "columns": COLUMNS,
        "classes": found.classes,
        "kinds": {kind: {**words, "total": found.totals[kind]} for kind, words in kinds.items()},
        "block": BLOCK,
        "questions": [_question(one, numbers) for one in found.asked],
    }


def _question(one: Question, numbers: dict[str, int]) -> dict[str, Any]:
    copies = [{**asdict(copy), "image": numbers.get(copy.image_id)} for copy in one.copies]
    return {
        **asdict(one),
        "copies": copies,
        "image": numbers.get(one.image_id),
        "answers": _answers(one),
    }


def _answers(one: Question) -> list[str]:
    """The actions that can be carried out on this image; `copy` and `skip` write no line."""
    if not one.usable:
        return ["remove", "skip"]
    first = (
        []
        if one.kind == "quarantined" or not one.given
        else [WORDS.get(one.kind, WORDS["quality"]).first[0]]
    )
    suggestion = ["suggestion"] if one.suggested and one.suggested != one.given else []
    apart = ["not_duplicate"] if one.kind in COPIES and one.near else []
    return [*first, *suggestion, "relabel", "remove", *apart, "skip"]


def _source(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """As a Content-Security-Policy names an inline script or style (W3C CSP 3, section 2.3.1)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(content: Any) -> Markup:
    """JSON that can stand inside a script element: it holds no `<`, so that nothing can end the element."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - what `<` could end is escaped
