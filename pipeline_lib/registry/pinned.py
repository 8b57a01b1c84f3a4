"""The alias reference: the pinned model that no champion may fall far behind (pipeline_lib/register/reference.py).

It comes with the first champion. The gate moves it to what is superior, a person moves it with a reason. Where its
version is deleted or rolled back it goes to the champion: it never stands for a model that was taken back.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pipeline_lib.errors import UsageError
from pipeline_lib.registry.records import (
    CHAMPION,
    REFERENCE,
    REFERENCE_FOR,
    REFERENCE_SINCE,
    Version,
    now,
    with_alias,
    with_number,
)

if TYPE_CHECKING:
    from pipeline_lib.registry.registry import Registry

log = logging.getLogger(__name__)


def set_reference(registry: Registry, number: int, *, reason: str | None = None) -> None:
    """Move the alias; a no-op where it stands there. reason: a person's. Needs the lock.

    Raises UsageError for a version that was rolled back.
    """
    versions = registry.versions()
    version = with_number(versions, number)
    assert version is not None, f"no version {number} to pin"
    if version.rolled_back is not None:
        remedy = f"name another that `perennial versions` lists, or promote version {number} first"
        raise UsageError("this version was rolled back", file=registry.uri, value=str(number), remedy=remedy)
    if version == with_alias(versions, REFERENCE):
        return
    # The alias last: a killed move is done again, and its date and reason are overwritten.
    registry.tag(version, {REFERENCE_SINCE: now()})
    if reason is None:
        registry.untag(version, REFERENCE_FOR)
    else:
        registry.tag(version, {REFERENCE_FOR: reason})
    registry.writer().set_alias(REFERENCE, number)


def keep_reference(registry: Registry) -> None:
    """Give the alias to the champion where no version has it, or one that was rolled back. Needs the lock."""
    versions = registry.versions()
    champion, reference = with_alias(versions, CHAMPION), with_alias(versions, REFERENCE)
    if champion is None or (reference is not None and reference.rolled_back is None):
        return
    set_reference(registry, champion.number)
    log.warning("%s: the reference is the champion, version %d, now", _why(reference), champion.number)


def _why(reference: Version | None) -> str:
    if reference is None:
        return "no version has the alias reference"
    return f"the reference, version {reference.number}, was rolled back"
