"""Which class of training each class name of an extra test set stands for: only what is certain, everything else is refused.

In this order: the class map that the source names; a class received for training, under its name of today
(curation/overrides.csv); a name in curation/classes.csv; the same class of ImageNet by its wnid or its name; and, where the
folders are the numbers 0 to 999, ImageNet-V2's, the class of that number in the order of networks' outputs.
"""

from __future__ import annotations

import difflib
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pipeline_lib.backbones.imagenet import imagenet_classes
from pipeline_lib.curate.classes import ClassWords
from pipeline_lib.errors import BadData
from pipeline_lib.sources.source import Source

log = logging.getLogger(__name__)
NAMED = 10  # examples in a message
SAID = 3  # of the names that were translated, in the log


@dataclass(frozen=True)
class Training:
    """The classes of training. became: name received or voted for -> class of today, None where an override excludes it.

    words: curation/classes.csv.
    """

    became: Mapping[str, str | None]
    words: Mapping[str, ClassWords]

    def known(self) -> dict[str, str | None]:
        """Name -> class of today: names received, names of today, and unique names in words."""
        today = {name: name for name in self.became.values() if name is not None}
        by_word = _unique((self.words[one].name, one) for one in today if one in self.words)
        return {**by_word, **today, **self.became}


def map_classes(
    received: Collection[str], source: Source, training: Training
) -> dict[str, str | None]:
    """The class of today for each name received; None for those that are left out on purpose.

    Raises BadData naming the names that stand for no class, or those of the class map that name none.
    """
    known = training.known()
    stated = _stated(source, known)
    found = {name: stated[name] for name in received if name in stated}
    found |= {name: known[name] for name in received if name not in found and name in known}
    by_imagenet = _by_imagenet(sorted(set(received) - found.keys()), received, known)
    if by_imagenet:
        said = ", ".join(f"{name} is {to}" for name, to in list(by_imagenet.items())[:SAID])
        what = "%s: %d classes found by ImageNet's names: %s"
        log.info(what, source.name, len(by_imagenet), said)
    found |= by_imagenet

    strange = sorted(set(received) - found.keys(), key=lambda name: (len(name), name))
    if strange and source.other_classes is None:
        raise _unmapped(strange, len(received), source, known)
    if strange:
        log.info("%s: %d classes are none of training: left out", source.name, len(strange))
    return found | dict.fromkeys(strange)


def _stated(source: Source, known: Mapping[str, str | None]) -> dict[str, str | None]:
    """The class map in today's names."""
    pairs = source.class_map if isinstance(source.class_map, dict) else {}
    wrong = sorted({name for name in pairs.values() if name is not None and name not in known})
    if wrong:
        raise BadData(
            f"the class map of the extra test set {source.name} names {len(wrong)} classes that training does not have",
            file=f"class_map of {source.name}",
            value=_with_nearest(wrong, known),
            remedy="write today's class, or nothing to leave the images out",
        )
    return {name: None if to is None else known[to] for name, to in pairs.items()}


def _by_imagenet(
    names: Iterable[str], received: Collection[str], known: Mapping[str, str | None]
) -> dict[str, str | None]:
    """Names as wnids, ImageNet's names or numbers, where exactly one of these spellings is a class of training."""
    classes = imagenet_classes()
    wnid_of = _unique((_spelt(name), wnid) for wnid, name in classes)
    name_of = {wnid: name for wnid, name in classes if _spelt(name) in wnid_of}
    in_training = _unique((_spelt(name), name) for name in known)

    # Folders 0 to 9 may be anybody's numbers; those of all 1,000 classes are ImageNet's.
    is_numbered = set(received) == {str(number) for number in range(len(classes))}
    found: dict[str, str | None] = {}
    for name in names:
        wnid = classes[int(name)][0] if is_numbered else wnid_of.get(_spelt(name), name)
        word = name_of.get(wnid)
        spelt = (wnid, in_training.get(_spelt(word)) if word else None)
        fitting = {known[one] for one in spelt if one is not None and one in known}
        if len(fitting) == 1:
            found[name] = fitting.pop()
    return found


def _spelt(name: str) -> str:
    """ImageNet's names are written with blanks or underscores, in any case."""
    return name.replace("_", " ").casefold()


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Without the keys that stand for several values: ImageNet has two cranes."""
    listed = [(key, value) for key, value in set(pairs) if key]
    n_values = Counter(key for key, _ in listed)
    return {key: value for key, value in listed if n_values[key] == 1}


def _unmapped(
    strange: list[str], n_received: int, source: Source, known: Mapping[str, str | None]
) -> BadData:
    today = sorted({name for name in known.values() if name is not None})
    return BadData(
        f"{len(strange)} of {n_received} classes of the extra test set {source.name} are no classes of training",
        file=source.uri,
        value=f"{_with_nearest(strange, known)}; training has {', '.join(today[:NAMED])}{_more(today)}",
        remedy=f"say in class_map of the source {source.name} (params.yaml) what they are called in training, or set "
        "other_classes: leave_out there",
    )


def _with_nearest(names: list[str], known: Mapping[str, str | None]) -> str:
    known_as = {name.casefold(): name for name in known}
    shown = []
    for name in names[:NAMED]:
        near = difflib.get_close_matches(name.casefold(), known_as, n=1)
        shown.append(f"{name} (nearest: {known_as[near[0]]})" if near else name)
    return ", ".join(shown) + _more(names)


def _more(names: list[str]) -> str:
    return f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
