"""`perennial init --extra-test NAME=PATH`: survey a set as the training images are, asking what its names leave open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_lib.settings import Settings
    from pipeline_lib.survey import ExtraTest


def survey_extra_test(given: str, settings: Settings, origin: Path) -> ExtraTest:
    """given: NAME=PATH. Raises UsageError for anything else, and the errors of surveying a source."""
    from flows.cli.asking import INDEPENDENT, survey_and_ask
    from flows.cli.project import inside
    from pipeline_lib.errors import UsageError
    from pipeline_lib.survey import extra_test, look_at, real_labels

    name, _, path = given.partition("=")
    if not name or not path:
        remedy = "write `--extra-test phone=data/phone`"
        raise UsageError("no name and path", file="--extra-test", value=given, remedy=remedy)
    uri = path if "://" in path else inside(origin, path)
    labels = real_labels(look_at(uri, settings, root=origin))
    said = {"labels": labels} if labels else {}
    found = survey_and_ask(
        uri, settings, origin, said, labels=None, subject=INDEPENDENT, role="test"
    )
    return extra_test(name, found)
