"""Lay out the report's pages and the model card. Every value is escaped; no page asks for anything from any network.

The first page carries its style, the others share a file beside them: a policy (W3C CSP 3) allows images and that style
from the page's own folder and nothing else. There is no script.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from pipeline_lib.report import pages
from pipeline_lib.report.content import Content
from pipeline_lib.report.explained import EXPLAINED, EvidenceFiles, where
from pipeline_lib.report.thumbnails import Thumbnail
from pipeline_lib.report.words import WORDS
from pipeline_lib.safe_text import as_code, as_markdown, shown

TEMPLATES = Path(__file__).parent / "templates"
STYLE = "style.css"
PILL = {  # decision -> word, tone
    "promote": ("Promoted", "good"),
    "waiting": ("Waiting for a person", "wait"),
    "candidate": ("Challenger", "wait"),
    "inconclusive": ("Held", "wait"),
    "reject": ("Refused", "bad"),
    "current": ("Unchanged", "good"),
}
INDENTED = re.compile(
    r"\s*\n\s*"
)  # of thousands of cards it is a third of the bytes, and shows nowhere
TABLES = {
    pages.CLASSES: "Classes",
    pages.CHANGES: "Against the champion",
    pages.DATA: "Data",
    pages.DUPLICATES: "Duplicates",
}
Images = Mapping[str, Thumbnail]  # image_id -> its file
Evidence = Mapping[str, EvidenceFiles]  # image_id -> its maps


@dataclass(frozen=True)
class Style:
    """How a page gets its style: an element of its head, and what the policy allows for it."""

    element: Markup
    policy: Markup


def render_report(content: Content, images: Images) -> str:
    """The first page."""
    return _render(
        "report.html.jinja", content, images, inline_style("style.css"), p="pages/", img="images/"
    )


def render_pages(
    content: Content, images: Images, examples: Images, evidence: Evidence
) -> Iterator[tuple[str, str]]:
    """Yield (file name, text) of every page behind the first. examples: shifted test set -> an image of it."""
    link = f'<link rel="stylesheet" href="{STYLE}">'
    style = Style(Markup(link), Markup("'self'"))  # noqa: S704
    draw = functools.partial(
        _render, content=content, images=images, style=style, p="", img="../images/"
    )
    for file, title in TABLES.items():
        if file in content.files:
            yield file, draw("tables.html.jinja", title=title, here=file)
    if pages.SHIFT in content.files:
        more: dict[str, Any] = {"shift": content.shift, "examples": examples}
        yield pages.SHIFT, draw("shift.html.jinja", title="Shift", here=pages.SHIFT, **more)
    if content.explained:
        title = "Explanations"
        yield (
            EXPLAINED,
            draw("explanations.html.jinja", title=title, here=EXPLAINED, evidence=evidence),
        )
    if content.groups.columns:
        yield pages.GROUPS, draw("groups.html.jinja", title="Groups", here=pages.GROUPS)
    yield pages.WORDS, draw("words.html.jinja", title="Words", here=pages.WORDS, words=WORDS)
    for gallery in content.image_pages:
        yield (
            gallery.file,
            draw("gallery.html.jinja", title=gallery.title, here=gallery.file, page=gallery),
        )
    for one in content.class_pages:
        yield one.file, draw("class.html.jinja", title=one.name, here=one.file, page=one)
    for group in content.confusion.pages:
        name = group.group.name
        yield group.page, draw("group.html.jinja", title=name, here=group.page, page=group)


def inline_style(more: str) -> Style:
    """The style of a page that stands alone: what all pages share, and a file of its own."""
    text = page_style() + style_file(more)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Style(
        Markup(f"<style>{text}</style>"),  # noqa: S704 - our own files
        Markup(f"'sha256-{digest}'"),  # noqa: S704
    )


def page_style() -> str:
    """The style that all pages share."""
    return style_file("palette.css") + style_file("page.css")


def render_card(content: Content) -> str:
    """The model card in Markdown (Mitchell et al. 2019, doi 10.1145/3287560.3287596)."""
    word, _ = PILL[content.run.verdict.decision]
    return (
        environment()
        .get_template("model_card.md.jinja")
        .render(c=content, run=content.run, word=word)
    )


def _render(
    template: str,
    content: Content,
    images: Images,
    style: Style,
    *,
    p: str,
    img: str,
    **more: object,
) -> str:
    """p, img: how the page reaches the other pages and the images."""
    word, tone = PILL[content.run.verdict.decision]
    values = {"word": word, "tone": tone, "here": "", **more}
    text = (
        environment()
        .get_template(template)
        .render(
            c=content,
            run=content.run,
            verdict=content.run.verdict,
            images=images,
            style=style,
            p=p,
            img=img,
            **values,
        )
    )
    return INDENTED.sub("\n", text)


@functools.cache
def style_file(name: str) -> str:
    """A file of style, without its indents."""
    return INDENTED.sub("\n", (TEMPLATES / name).read_text(encoding="utf-8"))


@functools.cache
def environment() -> Environment:
    """Where templates are found, and how what they are given is made safe to show."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            shown(value) if type(value) is str else value
        ),  # before it is escaped; Markup is ours
    )
    found.filters |= {"md": as_markdown, "code": as_code}
    found.filters |= {
        "percent": _percent,
        "points": _points,
        "short": _short,
        "number": "{:,}".format,
        "where": where,
    }
    return found


def _percent(share: float | None, digits: int = 1) -> str:
    return "\N{EN DASH}" if share is None else f"{100 * share:.{digits}f}"


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")


def _short(digest: str) -> str:
    return digest[:12]
