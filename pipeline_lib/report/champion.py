"""What the model compared with says of the same images, so that a page can show what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Before:
    """The version compared with. said: image_id -> class id, as it is called today; None when it could not be asked.

    known: the classes of today that it knows. why_silent: why there are no answers.
    """

    version: int
    said: pd.Series | None
    known: frozenset[str] = frozenset()
    why_silent: str = ""


def with_champion(
    answers: pd.DataFrame, before: Before | None, names: Mapping[str, str]
) -> pd.DataFrame:
    """Add champion (the name of what it said, where that differs from this model's answer), champion_right and shared.

    shared: both models know the image's class. Without answers the table stays as it is.
    """
    if before is None or before.said is None:
        return answers
    said = answers["image_id"].map(before.said.astype(object))
    said = said.where(said.notna(), "").astype("str")
    right = said == answers["true_class"]
    differs = (said != answers["predicted_class"]) & (said != "")
    return answers.assign(
        champion=said.map(lambda name: names.get(name, name)).where(differs, ""),
        champion_right=right,
        shared=answers["true_class"].isin(before.known),
    )
