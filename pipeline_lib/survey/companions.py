"""Images that seem to come in several forms: what a person should leave out or keep together."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from pipeline_lib.sources.names import without_image_ending

MANY = 0.5  # share of the images
LEAST = 5  # groups of images of one name
_FORM = re.compile(r"(?P<of>.+?)[ _-]+(?P<form>[^\W\d_][\w-]*?)(?P<number>[ _-]?\d+)?")


def companions(names: Sequence[str]) -> list[str]:
    """A sentence on images of one name with several endings, and on those with a word added to it."""
    return [*_of_several_endings(names), *_of_several_forms(names)]


def _of_several_endings(names: Sequence[str]) -> list[str]:
    """1.jpg beside 1.png: masks, or copies in another format."""
    of_stem: dict[str, set[str]] = defaultdict(set)
    for name in names:
        stem = without_image_ending(name)
        of_stem[stem].add(name[len(stem) :])
    several = [(stem, endings) for stem, endings in of_stem.items() if len(endings) > 1]
    n_twins = sum(len(endings) for _, endings in several)
    if len(several) < LEAST or n_twins < MANY * len(names):
        return []
    stem, _ = several[0]
    common = Counter(ending for _, endings in several for ending in endings).most_common(2)
    first, second = sorted(ending for ending, _ in common)
    return [
        f"{n_twins} images have the name of another one ({stem}{first}, {stem}{second}): if these are masks or copies, leave "
        f"them out by `--exclude '*{second}'`."
    ]


def _of_several_forms(names: Sequence[str]) -> list[str]:
    """1_rgb beside 1_depth, 1_flip beside 1: the forms are the same for most images."""
    forms_of: dict[str, set[str]] = defaultdict(set)
    stems = dict.fromkeys(without_image_ending(name) for name in names)
    for stem in stems:
        folder, slash, last = stem.rpartition("/")
        fit = _FORM.fullmatch(last)
        of, form = (fit["of"], fit["form"]) if fit else (last, "")
        forms_of[f"{folder}{slash}{of}"].add(form)
    sets = Counter(frozenset(forms) for forms in forms_of.values() if len(forms) > 1)
    if not sets:
        return []
    forms, n_groups = sets.most_common(1)[0]
    if n_groups < LEAST or n_groups < MANY * len(forms_of):
        return []
    of = next(one for one, found in forms_of.items() if found == forms)
    shown = sorted(filter(None, forms))
    out = next((one for one in shown if one != "rgb"), shown[0])
    return [
        f"{n_groups} images come in several forms ({', '.join(f'{of}_{one}' for one in shown)}): leave forms out by "
        f"`--exclude '*_{out}*'`, or keep those of one image together by `--subject`."
    ]
