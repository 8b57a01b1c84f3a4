"""Lay out the report and the model card. Every value is escaped; the page asks for nothing from any network."""

from __future__ import annotations

import functools
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from pipeline_lib.report.content import Content
from pipeline_lib.safe_text import as_code, as_markdown, shown

TEMPLATES = Path(__file__).parent / "templates"
PILL = {  # decision -> word, tone
    "promote": ("Promoted", "good"),
    "candidate": ("Challenger", "wait"),
    "inconclusive": ("Held", "wait"),
    "reject": ("Refused", "bad"),
    "current": ("Unchanged", "good"),
}


def render_report(content: Content) -> str:
    """The report as one HTML file."""
    word, tone = PILL[content.run.verdict.decision]
    page = _environment().get_template("report.html.jinja")
    return page.render(
        c=content, run=content.run, verdict=content.run.verdict, word=word, tone=tone
    )


def render_card(content: Content) -> str:
    """The model card in Markdown (Mitchell et al. 2019, doi 10.1145/3287560.3287596)."""
    word, _ = PILL[content.run.verdict.decision]
    return (
        _environment()
        .get_template("model_card.md.jinja")
        .render(c=content, run=content.run, word=word)
    )


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            shown(value) if type(value) is str else value
        ),  # before it is escaped; Markup is ours
    )
    environment.filters |= {"md": as_markdown, "code": as_code}
    environment.filters |= {
        "percent": _percent,
        "points": _points,
        "short": _short,
        "number": "{:,}".format,
    }
    return environment


def _percent(share: float | None, digits: int = 1) -> str:
    return "\N{EN DASH}" if share is None else f"{100 * share:.{digits}f}"


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")


def _short(digest: str) -> str:
    return digest[:12]
