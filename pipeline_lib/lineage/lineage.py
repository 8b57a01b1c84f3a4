"""A chain of steps that led to a model or a file, and what was made from it, with hashes, and how it is shown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

SHORT = 12


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


def as_text(lineage: Lineage) -> str:
    """Indented lines for a terminal, newest first, hashes in full."""
    lines = [lineage.title, ""]
    for step in lineage.steps:
        lines += _step_lines(step)
    if lineage.made_from_it:
        lines += ["made from it", ""]
        for step in lineage.made_from_it:
            lines += _step_lines(step)
    return "\n".join(lines).rstrip() + "\n"


def as_json(lineage: Lineage) -> str:
    """The dataclasses as JSON."""
    return json.dumps(asdict(lineage), indent=1, ensure_ascii=False) + "\n"


def as_mermaid(lineage: Lineage) -> str:
    """A mermaid flow chart from the source on the left to the model on the right."""
    steps = list(reversed(lineage.steps))
    lines = ["flowchart LR"]
    lines += [f'  s{number}["{_label(step)}"]' for number, step in enumerate(steps)]
    lines += [f"  s{number} --> s{number + 1}" for number in range(len(steps) - 1)]
    return "\n".join(lines) + "\n"


def _step_lines(step: Step) -> list[str]:
    by = f"  (by {step.made_by})" if step.made_by and step.made_by != step.title else ""
    lines = [f"  {step.title}{by}"]
    width = max((len(fact.label) for fact in step.facts), default=0)
    for fact in step.facts:
        lines.append(f"    {fact.label:<{width}}  {_value(fact)}")
    return [*lines, ""]


def _value(fact: Fact) -> str:
    return f"md5 {fact.value}" if fact.md5 else fact.value


def _label(step: Step) -> str:
    """Title and first hash; quotes would end the label, and mermaid reads # as an entity."""
    hashes = [fact.value[:SHORT] for fact in step.facts if fact.md5]
    text = f"{step.title}<br/>{hashes[0]}" if hashes else step.title
    return text.replace('"', "'").replace("#", "no. ")
