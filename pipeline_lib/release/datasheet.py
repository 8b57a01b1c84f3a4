"""The datasheet of a release, in Markdown: what the tables say, filled in, and what people answered.

After T. Gebru et al., "Datasheets for Datasets", Communications of the ACM 64(12), 2021, doi 10.1145/3458723.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_lib.release.datasheet_answers import QUESTIONS, About
from pipeline_lib.release.frozen import FrozenFile
from pipeline_lib.safe_text import as_code, as_markdown

TEMPLATES = Path(__file__).parent / "templates"
SHOWN_CLASSES = 50
SILENT = "*Not answered; see `answers` in `curation/datasheet.yaml`.*"


@dataclass(frozen=True)
class Facts:
    """What the datasheet says beside people's answers. figures: curation.json. sources: name -> address."""

    name: str
    commit: str
    version: str
    published: str
    about: About
    files: Sequence[FrozenFile]
    sources: Mapping[str, str]
    manifest: pd.DataFrame
    classes: pd.DataFrame
    figures: Mapping[str, Any]
    params: Mapping[str, Any]


def datasheet(facts: Facts) -> str:
    """Render the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - Markdown, escaped where the data's own words stand in tables
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": "{:,}".format,
        "cell": as_markdown,
        "code": as_code,
        "size": _size,
    }
    page = environment.get_template("datasheet.md.jinja")
    answers = {key: facts.about.answers.get(key) or SILENT for key in QUESTIONS}
    return page.render(
        f=facts, about=facts.about, q=QUESTIONS, a=answers, c=_counts(facts), shown=SHOWN_CLASSES
    )


def _counts(facts: Facts) -> dict[str, Any]:
    """Everything counted in the manifest."""
    manifest = facts.manifest
    kept = manifest[manifest["decision"] == "keep"]
    short = kept[["width_px", "height_px"]].min(axis=1).dropna()
    quantiles = [int(short.quantile(share)) for share in (0.05, 0.5, 0.95)] if len(short) else None
    return {
        "short_side": quantiles,
        "formats": kept["format"].value_counts().sort_index().to_dict(),
        "subjects": int(manifest["subject"].nunique()),
        "gps": int(facts.figures.get("remarks", {}).get("has_gps", 0)),
        "label_sources": kept["label_source"].value_counts().sort_index().to_dict(),
        "bytes_kept": int(kept["size_bytes"].sum()),
    }


def _size(size: int) -> str:
    step, unit = next(
        ((step, unit) for step, unit in ((1e9, "GB"), (1e6, "MB")) if size >= step), (1e3, "kB")
    )
    return f"{size / step:.1f} {unit}"
