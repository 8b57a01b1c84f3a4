"""A chain of steps that led to a model or a file, and what was made from it, with hashes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One thing known of a step: a label and its value; `md5` marks a value that names bytes."""

    label: str
    value: str
    md5: bool = False


@dataclass(frozen=True)
class Step:
    """One step of the chain. made_by: the stage that wrote it; "" for what a person or a source gave."""

    title: str
    made_by: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Lineage:
    """Where something comes from. steps: newest first. made_from_it: what depends on it, in the line's order."""

    ref: str
    title: str
    steps: tuple[Step, ...]
    made_from_it: tuple[Step, ...] = ()
