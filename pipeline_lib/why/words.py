"""The story of an image in plain words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Story = Mapping[str, Any]
WIDTH = 10  # of the heads


def in_words(story: Story, *, model: str) -> str:
    """Lines under heads. model: what the model is called whose answer is told."""
    parts: dict[str, Iterator[str]] = {
        "from": _origin(story["origin"]),
        "image": _image(story["image"]),
        "label": _label(story["label"]),
        "decision": _decision(story["decision"]),
        "split": _split(story["split"]),
        "copies": _copies(story["copies"]),
        "doubt": _doubt(story["doubt"], story["label"]["class_id"]),
        "groups": _pairs(story["groups"]),
        "extras": _pairs(story["extras"]),
        "answer": _answer(story["answer"], model, story["split"]["split"]),
        "learnt by": _learnt(story["learnt"]),
    }
    lines = [story["image_id"]]
    for head, said in parts.items():
        for place, text in enumerate(said):
            lines.append(f"  {head if not place else '':<{WIDTH}} {text}")
    return "\n".join(lines)


def _origin(found: Story) -> Iterator[str]:
    uri = f" ({found['uri']})" if found["uri"] else ""
    yield f"source {found['source']}{uri}: {found['path']}"
    if found["sha256"] is None:
        yield "none of its bytes were taken"
        return
    yield f"sha256 {found['sha256']}"
    if found["container"]:
        yield (
            f"{found['size_bytes']:,} bytes at {found['offset_bytes']:,} of "
            f"line/download/shards/{found['container']}, shard {found['shard']}"
        )


def _image(found: Story) -> Iterator[str]:
    facts = []
    if found["width_px"]:
        facts.append(f"{found['width_px']} x {found['height_px']} px")
    if found["luminance_p50"] is not None:
        facts.append(f"brightness {found['luminance_p50']} of 255")
    kind = " ".join(str(one) for one in (found["format"], found["mode"]) if one)
    if kind or facts:
        yield ", ".join([*([kind] if kind else []), *facts])
    if found["detail"]:
        yield f"the decoder said: {found['detail']}"


def _label(found: Story) -> Iterator[str]:
    sources = {"override": "by an override", "votes": "by votes", "received": "as received"}
    if found["class_id"] is None:
        yield "no class"
    else:
        by = sources.get(found["by"], found["by"])
        sure = f", {percent(found['confidence'])} sure" if found["confidence"] is not None else ""
        yield f"{_named(found['class_id'], found['name'])}, {by}{sure}"
    if found["received"] != found["class_id"]:
        yield f"received as {found['received'] or 'nothing'}"
    if found["votes"]:
        votes = ", ".join(f"{one['annotator']}: {one['label']}" for one in found["votes"])
        yield f"votes: {votes}"
    for one in found["overrides"]:
        value = f" {one['value']}" if one["value"] else ""
        yield f"curation/overrides.csv line {one['line']} (by {one['key_type']}): {one['action']}{value}"


def _decision(found: Story) -> Iterator[str]:
    words = {"keep": "kept", "quarantine": "quarantined", "remove": "removed"}
    what = words.get(found["decision"], found["decision"])
    by = {"rule": "by a rule", "votes": "by votes", "override": "by an override"}
    why = f": {found['reason']}" if found["reason"] else ""
    meaning = f" ({found['meaning']})" if found["meaning"] else ""
    yield f"{what}{why}{meaning}, {by.get(found['by'], found['by'])}"
    if found["remedy"]:
        yield f"remedy: {found['remedy']}"
    for one in found["also"]:
        also = f" ({one['meaning']})" if one["meaning"] else ""
        yield f"also: {one['code']}{also}"


def _split(found: Story) -> Iterator[str]:
    subject = f"; its subject is {found['subject']}" if found["subject"] else ""
    yield f"{found['split'] or 'none'}: {found['why']}{subject}"


def _copies(found: Story | None) -> Iterator[str]:
    if found is None:
        return
    kinds = {"bytes": "the same bytes", "pixels": "the same pixels", "near": "nearly the same"}
    yield f"{found['n_others']:,} more in its group; it has {kinds.get(found['kind'], 'copies')}"
    for one in found["others"]:
        yield f"{one['image_id']}: {one['decision']}{', ' + one['split'] if one['split'] else ''}"
    if found["n_others"] > len(found["others"]):
        yield f"and {found['n_others'] - len(found['others']):,} more"


def _doubt(found: Story, class_id: str | None) -> Iterator[str]:
    if found["label_doubt"] is not None:
        said = f"the label is wrong with probability {percent(found['label_doubt'])}"
        if found["p_given"] is not None:
            said += f"; from the image alone the label has {percent(found['p_given'])}"
        if found["suggested"] not in (None, class_id) and found["p_suggested"] is not None:
            named = _named(found["suggested"], found["suggested_name"])
            said += f", {named} {percent(found['p_suggested'])}"
        yield said
    for one in found["questions"]:
        yield f"review queue: {one['kind']}, rank {one['rank']}: {one['note']}"


def _pairs(found: Mapping[str, Any]) -> Iterator[str]:
    if found:
        yield ", ".join(f"{name}: {value}" for name, value in found.items())


def _answer(found: Story | None, model: str, split: str | None) -> Iterator[str]:
    if found is None:
        why = "it was learnt from" if split == "train" else "it is not in test or val"
        yield f"none recorded of {model}: {why}"
        return
    right = (
        "right"
        if found["correct"]
        else f"wrong: the label {found['label']} has {percent(found['p_label'])}"
    )
    yield f"{model} on {found['split']}: {right}"
    for one in found["top"]:
        yield f"{percent(one['p']):>7} {_named(one['class_id'], one['name'])}"


def _learnt(found: Story) -> Iterator[str]:
    by, not_by, unknown = found["by"], found["not_by"], found["unknown"]
    if by:
        yield f"version {_numbers(by)}"
    if not_by:
        yield f"not {'by ' if by else ''}version {_numbers(not_by)}"
    if unknown:
        yield f"unknown of version {_numbers(unknown)}: its list of images is not in DVC's cache"
    if not (by or not_by or unknown):
        yield "no model is registered"


def _numbers(versions: Sequence[int]) -> str:
    """1, 3 to 7 and 9, at any length of history."""
    runs: list[list[int]] = []
    for number in sorted(versions):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return ", ".join(texts)


def _named(class_id: str, name: str) -> str:
    return class_id if name == class_id else f"{class_id} ({name})"


def percent(p: float) -> str:
    """93.1 %."""
    return f"{100 * p:.1f} %"
