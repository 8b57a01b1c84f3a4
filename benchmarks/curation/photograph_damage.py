"""Damage planted among photographs: what is refused by name, what is missed, and which sound files are doubted.

    python -m benchmarks.curation.photograph_damage --data FOLDER [--sheet FOLDER] [--each 100]

FOLDER: clothing.tar, as for photograph_copies. Of each kind of damage, of each way to spoil a photograph in taking it
(overexposed by a gain of 2 to 3 or light times 3 to 6, cut off at white, or by a gamma of .25 to .4; moved by 9 to 21 px
of 400 px in any direction; out of focus), and of each sound way to save it again, `--each` photographs drawn at random go
through `inspect`'s examination at its defaults, beside all photographs as they are. Named: the expected reason or remark
was given. Noticed: refused, or remarked where the original is not. `--sheet` draws sound files that were refused or
remarked unexpectedly, and damaged ones that passed without a word. Takes half a minute; writes
benchmarks/results/photograph_damage.json.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw, ImageOps

from benchmarks.curation.photograph_copies import read_photographs
from benchmarks.support.changed_photographs import (
    DAMAGED,
    PLACEHOLDERS,
    SOUND,
    SPOILT,
    Kind,
    as_image,
)
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.quality import quality_remarks
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.params import InspectParams

TILE_PX, CAPTION_PX, PER_LINE = 200, 28, 6


@dataclass(frozen=True)
class Verdict:
    """What examining one file says: the reason of a refusal, or the remarks."""

    refusal: str | None
    remarks: frozenset[str]


@dataclass(frozen=True)
class Plant:
    """One planted file: its kind, the photograph it was made of, and its bytes."""

    kind: str
    original: str
    data: bytes


def planted(
    photographs: Mapping[str, bytes], kinds: Mapping[str, Kind], each: int
) -> dict[str, Plant]:
    """Name of the file -> what it is; every kind has draws of its own, so that a new kind changes no other."""
    plants = {}
    for kind_name, kind in kinds.items():
        rng = random.Random(kind_name)
        drawn = rng.sample(sorted(photographs), each + 1)
        for name, other in itertools.pairwise(drawn):
            data = kind.change(photographs[name], photographs[other], rng)
            plants[f"{kind_name}/{Path(name).with_suffix(kind.ending)}"] = Plant(
                kind_name, name, data
            )
    return plants


def verdicts(files: Mapping[str, bytes]) -> dict[str, Verdict]:
    """What `inspect` and the remarks of `curate` say about each file, by name."""
    findings = pd.DataFrame(
        [examine(name, data, InspectParams()).findings for name, data in files.items()]
    )
    remarks = pd.DataFrame(quality_remarks(findings, CurateParams()))
    refusals = findings["refusal"].astype(object).where(findings["refusal"].notna(), None)
    return {
        name: Verdict(
            refusal,
            frozenset(str(remark) for remark in remarks.columns[remarks.iloc[at].to_numpy()]),
        )
        for at, (name, refusal) in enumerate(zip(files, refusals, strict=True))
    }


def _said(verdict: Verdict, before: Verdict) -> frozenset[str]:
    """The reason, or the remarks that the original does not have."""
    return frozenset({verdict.refusal}) if verdict.refusal else verdict.remarks - before.remarks


def damage_rows(plants: Mapping[str, Plant], said: Mapping[str, frozenset[str]]) -> Iterable[Row]:
    """The shares named and noticed of each kind, and the words that were said."""
    for kind_name, kind in (DAMAGED | SPOILT).items():
        names = [name for name, plant in plants.items() if plant.kind == kind_name]
        what = "damaged" if kind_name in DAMAGED else "spoilt"
        yield row(kind_name, what, "files", [len(names)])
        yield row(
            kind_name,
            "named",
            "share",
            [sum(kind.expected in said[name] for name in names) / len(names)],
        )
        yield row(
            kind_name, "noticed", "share", [sum(bool(said[name]) for name in names) / len(names)]
        )
        yield from _word_rows(kind_name, [said[name] for name in names])


def sound_rows(case: str, found: list[Verdict], said: list[frozenset[str]]) -> Iterable[Row]:
    """Sound files that were refused, those doubted without cause, and the words that were said."""
    refused = [verdict.refusal is not None for verdict in found]
    yield row(case, "sound", "files", [len(found)])
    yield row(case, "refused", "files", [sum(refused)])
    yield row(case, "remarked", "files", [sum(map(bool, said)) - sum(refused)])
    yield from _word_rows(case, said)


def _word_rows(case: str, said: Iterable[frozenset[str]]) -> Iterable[Row]:
    counted = Counter(word for words in said for word in words)
    for word, n_files in sorted(counted.items()):
        yield row(case, f"said {word}", "files", [n_files])


def sheet(tiles: Iterable[tuple[str, bytes]]) -> Image.Image:
    """Captioned images in lines of PER_LINE."""
    tiles = list(tiles)
    n_lines = max(1, -(-len(tiles) // PER_LINE))
    whole = Image.new("RGB", (PER_LINE * TILE_PX, n_lines * (TILE_PX + CAPTION_PX)), "black")
    draw = ImageDraw.Draw(whole)
    for number, (caption, data) in enumerate(tiles):
        left, top = number % PER_LINE * TILE_PX, number // PER_LINE * (TILE_PX + CAPTION_PX)
        whole.paste(ImageOps.contain(as_image(data), (TILE_PX - 6,) * 2), (left, top + CAPTION_PX))
        draw.multiline_text((left + 2, top + 1), caption, fill="white", font_size=11, spacing=1)
    return whole


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation.photograph_damage", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder with clothing.tar")
    parser.add_argument("--sheet", type=Path, help="a folder for the contact sheet")
    parser.add_argument("--each", type=int, default=100, help="files of each kind (default 100)")
    options = parser.parse_args()
    photographs = read_photographs(options.data / "clothing.tar")
    plants = planted(photographs, DAMAGED | SPOILT | SOUND | PLACEHOLDERS, options.each)
    found = verdicts(photographs | {name: plant.data for name, plant in plants.items()})
    said = {name: _said(found[name], found[plant.original]) for name, plant in plants.items()}
    nothing = Verdict(None, frozenset())
    as_they_are = {name: _said(found[name], nothing) for name in photographs}
    rows = list(damage_rows(plants, said))
    missed = [
        (name, "passed without a word")
        for name in said
        if plants[name].kind in DAMAGED | SPOILT and not said[name]
    ]
    doubted = [(name, ", ".join(sorted(words))) for name, words in as_they_are.items() if words]
    for kind_name, kind in SOUND.items():
        names = [name for name, plant in plants.items() if plant.kind == kind_name]
        unexpected = {name: said[name] - {kind.expected} for name in names}
        yes = [name for name in names if kind.expected in said[name]]
        rows += sound_rows(kind_name, [found[name] for name in names], list(unexpected.values()))
        rows.append(row(kind_name, "expected remark", "files", [len(yes)]))
        doubted += [(name, ", ".join(sorted(words))) for name, words in unexpected.items() if words]
    for kind_name, kind in PLACEHOLDERS.items():
        named = [
            kind.expected in found[name].remarks
            for name, plant in plants.items()
            if plant.kind == kind_name
        ]
        rows.append(row(kind_name, "placeholders", "files", [len(named)]))
        rows.append(row(kind_name, "named", "share", [sum(named) / len(named)]))
    rows += sound_rows(
        "as they are", [found[name] for name in photographs], list(as_they_are.values())
    )
    for one in rows:
        print(f"{one.case}: {one.metric} {one.median:g} {one.unit}")
    if options.sheet:
        data_of = photographs | {name: plant.data for name, plant in plants.items()}
        tiles = [(f"{Path(name).parts[0]}\n{words}", name) for name, words in doubted + missed]
        sheet((caption, data_of[name]) for caption, name in tiles).save(
            options.sheet / "doubted_and_missed.png"
        )
    print(f"wrote {write_results('photograph_damage', rows, also=('opencv-python',))}")


if __name__ == "__main__":
    main()
