"""What `perennial init` resets for new data beside params.yaml: files of curation/, and the model's name."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_lib.settings import Settings
    from pipeline_lib.survey import NewData, Renewal

SETTINGS, VARIABLE = "settings.toml", "PERENNIAL_MODEL_NAME"


def refuse_to_lose_words(anew: Sequence[Renewal], uncommitted: Collection[str]) -> None:
    """Raise UsageError naming each file of earlier data with text that people wrote."""
    from pipeline_lib.errors import UsageError

    written = [one for one in anew if one.words]
    if written:
        value = "; ".join(
            f"{one.file}: {one.words}{', not committed' if one.file in uncommitted else ''}"
            for one in written
        )
        names = " ".join(one.file for one in written)
        keep = f"commit them (`git add {names} && git commit`) or copy them"
        remedy = f"{keep}; `perennial init --force` replaces them"
        raise UsageError(
            "text that people wrote about earlier data would be lost",
            file="curation",
            value=value,
            remedy=remedy,
        )


def start_files(origin: Path, anew: Sequence[Renewal]) -> list[str]:
    """Write the files; return the lines to print."""
    from pipeline_lib.files.atomic import write_text
    from pipeline_lib.survey.earlier_data import DATASHEET

    for one in anew:
        write_text(origin / one.file, one.text)
    more = {DATASHEET: "; fill it in before a release"}
    return [f"anew     {one.file}: {one.why}{more.get(one.file, '')}" for one in anew]


def start_model_name(
    origin: Path, data: NewData, settings: Settings, *, weights: str | None
) -> tuple[str, tuple[str, ...]]:
    """Name the models of new data in settings.toml; return the line to print, and the files written.

    The name stays if a person chose it, or if training starts from a version that is registered under it.
    """
    from pipeline_lib.files.atomic import write_text
    from pipeline_lib.survey.earlier_data import free_name, is_our_line, with_model_name
    from pipeline_lib.train.params import REGISTERED

    path = origin / SETTINGS
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    is_chosen = "model_name" in settings.model_fields_set and not is_our_line(text)
    by_whom = VARIABLE if VARIABLE in os.environ else SETTINGS if is_chosen else ""
    reason = ""
    if not data.is_new:
        reason = "as before"
    elif by_whom:
        reason = f"{by_whom} says so; a champion of that name is what new models are compared with"
    elif (weights or "").startswith(REGISTERED):
        reason = f"{weights} is of that name"
    name = (
        settings.model_name
        if reason
        else free_name(data.name, lambda one: _is_taken(one, origin, settings))
    )
    if name == settings.model_name:
        return f"model    {name}: {reason or 'nothing is registered under it yet'}", ()
    write_text(path, with_model_name(text, name, data.name))
    return (
        f"anew     {SETTINGS}: model_name is {name}; models of earlier data stay under {settings.model_name}",
        (SETTINGS,),
    )


def _is_taken(name: str, origin: Path, settings: Settings) -> bool:
    """Whether versions of that name exist as git tags or in a registry file. No server is asked."""
    from pipeline_lib.registry.mlflow_store import SQLITE
    from pipeline_lib.registry.registry import load_registry
    from tasks.git import git

    if git(origin, "tag", "--list", f"{name}@v*", f"{name}#*"):
        return True
    registry = load_registry(settings.model_copy(update={"model_name": name}), origin)
    return registry.uri.startswith(SQLITE) and bool(registry.versions())
