"""Survey each source that `perennial init` is told of in its role, asking what its names leave open; and those that stay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from flows.cli.sources_named import NamedSource
    from pipeline_lib.settings import Settings
    from pipeline_lib.survey import EarlierSource, Survey, SurveyedSource


def survey_named(
    one: NamedSource,
    options: argparse.Namespace,
    settings: Settings,
    origin: Path,
    earlier: Sequence[EarlierSource],
) -> SurveyedSource:
    """Survey a source of the command line. What a person wrote of it in params.yaml, such as its votes, stays.

    The options hold for labelled sources, and for extra test sets where none is named. Raises UsageError without an answer
    to what is in doubt, and the errors of listing a source.
    """
    from pipeline_lib.errors import UsageError
    from pipeline_lib.survey import SurveyedSource

    try:
        found = _found(one, options, settings, origin)
    except UsageError as error:
        remedy = _with_command(error.remedy, one, options)
        raise UsageError(error.what, file=error.file, value=error.value, remedy=remedy) from error
    before = next((b for b in earlier if b.uri == one.uri and b.role == one.role), None)
    told = found.subjects.taken is not None
    carried = before.by_hand(subjects_told=told) if before else {}
    return SurveyedSource(one.name, found, one.role, carried)


def _found(
    one: NamedSource, options: argparse.Namespace, settings: Settings, origin: Path
) -> Survey:
    from flows.cli.asking import INDEPENDENT, said_of_names, survey_and_ask, told_of_labels
    from pipeline_lib.survey import answer_before, look_at, real_labels, survey, unlabelled_answer

    if one.role == "unlabelled":
        answer = unlabelled_answer(answer_before(origin, one.uri))
        return survey(one.uri, settings, root=origin, answer=answer)
    if one.role is None:
        return survey_and_ask(
            one.uri,
            settings,
            origin,
            said_of_names(options),
            labels=options.labels,
            subject=options.subject,
            told=told_of_labels(options),
        )
    is_meant = not options.source  # the options
    said = said_of_names(options) if is_meant else {}
    labels = options.labels if is_meant else None
    if labels is None and (real := real_labels(look_at(one.uri, settings, root=origin))):
        said["labels"] = real
    return survey_and_ask(
        one.uri,
        settings,
        origin,
        said,
        labels=labels,
        subject=INDEPENDENT,
        told=told_of_labels(options) if is_meant else {},
        role="test",
    )


def _with_command(remedy: str, one: NamedSource, options: argparse.Namespace) -> str:
    """A remedy whose command is of one source, such as `perennial init photos --layout NAME`, with the others kept."""
    alone = f"`perennial init {one.uri}"
    if alone not in remedy:
        return remedy
    if one.role == "test":
        added = f"`perennial init --add --extra-test {one.name}={one.uri}"
        first = "first `perennial init` without it; then " if options.source else ""
        return first + remedy.replace(alone, added)
    if options.add:
        return remedy.replace(alone, f"`perennial init --add {one.uri}")
    if len(options.source) > 1:
        return f"{remedy}; then the others: `perennial init --add PLACE`"
    return remedy


def survey_kept(one: EarlierSource, settings: Settings, origin: Path) -> SurveyedSource:
    """Survey a source as params.yaml has it. Raises ConfigError where that is wrong, and the errors of listing it."""
    from pipeline_lib.discover.params import DiscoverParams
    from pipeline_lib.params_file import load_section
    from pipeline_lib.survey import SurveyedSource, answer_of, survey

    params = load_section(origin / "params.yaml", "discover", DiscoverParams)
    source = next(source for source in params.sources if source.name == one.name)
    found = survey(source.uri, settings, root=origin, answer=answer_of(source))
    return SurveyedSource(one.name, found)
