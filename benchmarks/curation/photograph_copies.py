"""Planted copies of photographs: how many are found, and which different photographs are taken for copies.

    python -m benchmarks.curation.photograph_copies --data FOLDER [--sheet FOLDER] [--each 40]

FOLDER: clothing.tar (`train|test/<class>/<name>.jpg`), or any tar of photographs. They go through `inspect`, with the
built-in backbone, and the grouping of `curate` at their defaults, twice: as they are, and with altered copies of `--each`
photographs for each kind of change (benchmarks/support/altered_copies.py), no photograph altered twice. Found: the copy is
in its original's group; asked: among the questions of the review queue; photograph stays: of a found pair in training the
original is kept, and not the copy. False: photographs in a group with another one that is no copy of it, by the plant list;
pairs that stand in the archive itself count as false until a person has looked (`--sheet` draws all groups and the first
questions of the archive as it is). Different prints on one photograph are no copies. Beside it, for the same files: the same
with gradients instead of the backbone, and a plain perceptual hash (64 signs of a DCT against their median, as
Buchner's `imagehash` computes it) at 6 and 10 bits. Writes benchmarks/results/photograph_copies.json.
"""

from __future__ import annotations

import argparse
import io
import random
import tarfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from benchmarks.support.altered_copies import CHANGES, altered, cropped
from benchmarks.support.plain_phash import phash
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.curate.duplicates import Groups, group_duplicates
from pipeline_lib.curate.inputs import axes_by_kind, cut
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.inspect.embedding import Embedding, find_embedding
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.shard import describe

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
TILE_PX, PER_LINE = 160, 8


PRINTS, N_PRINTS = (0.08, 0.12, 0.2, 0.3), 80
LOOKED_AT, HELD_OUT = (
    13,
    (14, 15, 16, 17),
)  # draws of the originals: thresholds were chosen on the first
ADDED = (
    "white border of 8 %",
    "caption over the image",
    "caption below the image",
    "screenshot",
    "viewer bars",
)
PHASH_BITS = (6, 10)
Copies = dict[str, tuple[str, str, bytes]]  # name of the copy -> kind, name of the original, bytes


@dataclass(frozen=True)
class Inspected:
    """What `inspect` finds. rows, features: by image_id. views: the stored small views. cpu_s: of making them."""

    rows: pd.DataFrame
    features: pd.DataFrame
    views: dict[str, bytes]
    cpu_s: float

    def beside(self, other: Inspected) -> Inspected:
        """Both sets of images as one."""
        return Inspected(
            pd.concat([self.rows, other.rows]).sort_index(),
            pd.concat([self.features, other.features]).sort_index(),
            {**self.views, **other.views},
            self.cpu_s + other.cpu_s,
        )


def read_photographs(archive: Path) -> dict[str, bytes]:
    """The files of a tar that are named like images, by name."""
    with tarfile.open(archive) as tar:
        found = {
            one.name: tar.extractfile(one)
            for one in tar
            if one.isfile() and one.name.lower().endswith(ENDINGS)
        }
        return {name: file.read() for name, file in found.items() if file is not None}


def planted(photographs: dict[str, bytes], each: int, *, draw: int) -> Copies:
    """Altered copies of `each` photographs for each kind."""
    names = sorted(photographs)
    random.Random(draw).shuffle(names)
    copies = {}
    for number, kind in enumerate(CHANGES):
        for name in names[number * each : (number + 1) * each]:
            data = altered(photographs[name], kind, seed=f"{draw} {name}")
            copies[f"copies/{number}/{name}"] = (kind, name, data)
    return copies


def inspected(images: dict[str, bytes]) -> Inspected:
    """What `inspect` finds in each image, those that it refuses left out."""
    start = time.process_time()
    rows, features, views = [], [], {}
    for name in sorted(images):
        found = examine(name, images[name], InspectParams())
        if found.grey_HW is None or found.pixels_HWC is None:
            continue
        rows.append({"image_id": name, "sha256": name, **found.findings})
        described = describe(found, _backbone())
        if (view := described.pop("view")) is not None:
            views[name] = view
        features.append({"image_id": name, **described})
    frames = [pd.DataFrame(table).set_index("image_id") for table in (rows, features)]
    return Inspected(frames[0], frames[1], views, time.process_time() - start)


@cache
def _backbone() -> Embedding | None:
    return find_embedding(InspectParams(), Path())


def grouped(seen: Inspected, *, gradients: bool = False) -> tuple[Groups, float]:
    """The groups and questions at default settings, and the CPU seconds they took. gradients: not the backbone's view."""
    start = time.process_time()
    features = seen.features.assign(kind="hog") if gradients else seen.features
    short = cut(features, axes_by_kind(features, seed=0))
    views = seen.views
    groups = group_duplicates(
        seen.rows, short, lambda names: {name: views[name] for name in names}, CurateParams()
    )
    return groups, time.process_time() - start


def copy_rows(groups: Groups, copies: Copies) -> list[Row]:
    """Recall by kind, and which of the two stays."""
    group, questions, staying = groups.frame["dup_group"], asked(groups), _staying(groups, copies)
    rows = []
    for kind, pairs in _by_kind(copies).items():
        found = [bool(group[copy] == group[original]) for copy, original in pairs]
        open_ = [
            not there and frozenset(pair) in questions
            for there, pair in zip(found, pairs, strict=True)
        ]
        rows.append(row(kind, "copies", "images", [len(pairs)]))
        rows.append(row(kind, "found", "share", [sum(found) / len(pairs)]))
        rows.append(row(kind, "asked", "share", [sum(open_) / len(pairs)]))
        if kind in ADDED and any(found):
            kept = [
                original in staying
                for (_, original), there in zip(pairs, found, strict=True)
                if there
            ]
            rows.append(row(kind, "photograph stays", "share", [sum(kept) / len(kept)]))
        print(f"{kind}: {sum(found)} of {len(pairs)} found, {sum(open_)} asked", flush=True)
    return rows


def _by_kind(copies: Copies) -> dict[str, list[tuple[str, str]]]:
    pairs: dict[str, list[tuple[str, str]]] = {kind: [] for kind in CHANGES}
    for copy, (kind, original, _) in copies.items():
        pairs[kind].append((copy, original))
    return pairs


def _staying(groups: Groups, copies: Copies) -> set[str]:
    """The images of all groups that training would keep, if all had one class: framed ones last, then by name."""
    grouped = groups.frame[groups.frame["dup_group"].notna()]
    ranked = grouped.rename_axis("image_id").sort_values(["framed", "image_id"])
    return set(ranked.drop_duplicates("dup_group").index)


def held_out_rows(seen: Inspected, photographs: dict[str, bytes], each: int) -> list[Row]:
    """The same of draws of originals that nobody looked at while choosing thresholds; one figure for each draw."""
    found: dict[str, list[float]] = {kind: [] for kind in CHANGES}
    false, open_ = [], []
    for draw in HELD_OUT:
        copies = planted(photographs, each, draw=draw)
        groups, _ = grouped(seen.beside(inspected(_bytes(copies))))
        for one in copy_rows(groups, copies):
            if one.metric == "found":
                found[one.case].append(one.median)
            elif one.metric == "asked":
                found[one.case][-1] += one.median
        originals = {name: original for name, (_, original, _) in copies.items()}
        of_draw = {one.metric: one.median for one in false_rows(f"draw {draw}", groups, originals)}
        false.append(of_draw["groups of different photographs"])
        open_.append(of_draw["questions about different photographs"])
    return [
        *(
            row(kind, "found or asked, held-out draws", "share", shares)
            for kind, shares in found.items()
        ),
        row("held-out draws", "groups of different photographs", "groups", false),
        row("held-out draws", "questions about different photographs", "pairs", open_),
    ]


def _bytes(copies: Copies) -> dict[str, bytes]:
    return {name: data for name, (_, _, data) in copies.items()}


def phash_rows(photographs: dict[str, bytes], copies: Copies) -> list[Row]:
    """What a plain perceptual hash finds of each kind, how many different photographs it pairs, and its cost."""
    start = time.process_time()
    names = sorted({**photographs, **copies})
    hashes = np.array([phash(photographs.get(name) or copies[name][2]) for name in names])
    bits = np.stack([np.bitwise_count(hashes ^ one) for one in hashes])
    cpu_s = time.process_time() - start
    place = {name: at for at, name in enumerate(names)}
    rows = [row("plain pHash", "hashing and comparing", "CPU s", [cpu_s])]
    original = [copies[name][1] if name in copies else name for name in names]
    different = np.triu(np.not_equal.outer(original, original))
    for most in PHASH_BITS:
        for kind, pairs in _by_kind(copies).items():
            near = [bool(bits[place[copy], place[other]] <= most) for copy, other in pairs]
            rows.append(row(kind, f"pHash, {most} bits", "share", [sum(near) / len(near)]))
        false = int(((bits <= most) & different).sum())
        rows.append(row("plain pHash", f"different photographs, {most} bits", "pairs", [false]))
    return rows


def print_rows(photographs: dict[str, bytes]) -> list[Row]:
    """Two prints on one blank, as shops render them: one photograph with other pixels in a part of it."""
    names = sorted(photographs)
    random.Random(LOOKED_AT).shuffle(names)
    rows = []
    for share in PRINTS:
        images = {}
        for number in range(N_PRINTS):
            blank, *motifs = names[3 * number : 3 * number + 3]
            for motif in motifs:
                images[f"{number:03}/{motif}"] = _printed(
                    photographs[blank], photographs[motif], share
                )
        groups, _ = grouped(inspected(images))
        case = f"different prints of {share:.0%} of the sides on one photograph"
        together = int(groups.frame["dup_group"].dropna().nunique())
        rows.append(row(case, "pairs", "pairs", [N_PRINTS]))
        rows.append(row(case, "taken for copies", "pairs", [together]))
        rows.append(row(case, "asked", "pairs", [len(asked(groups))]))
        print(
            f"{case}: {together} of {N_PRINTS} taken for copies, {len(asked(groups))} asked",
            flush=True,
        )
    return rows


def _printed(blank: bytes, motif: bytes, share: float) -> bytes:
    """The blank with the middle of the motif on its chest."""
    page, printed = (Image.open(io.BytesIO(data)).convert("RGB") for data in (blank, motif))
    middle = cropped(printed, 0.5).resize((round(page.width * share), round(page.height * share)))
    page.paste(middle, ((page.width - middle.width) // 2, (page.height - middle.height) // 3))
    file = io.BytesIO()
    page.save(file, "JPEG", quality=90)
    return file.getvalue()


def false_rows(case: str, groups: Groups, original_of: dict[str, str]) -> list[Row]:
    """Groups of photographs that are no copies by the plant list, the images a rule would take out, questions."""
    group = groups.frame["dup_group"].dropna()
    source = pd.Series({name: original_of.get(name, name) for name in group.index}, dtype="str")
    distinct = source.groupby(group).nunique()
    questions = asked(groups)
    apart = sum(len({original_of.get(name, name) for name in pair}) > 1 for pair in questions)
    print(
        f"{case}: {(distinct > 1).sum()} groups of different ones, {len(questions)} questions",
        flush=True,
    )
    return [
        row(case, "groups", "groups", [int(group.nunique())]),
        row(case, "groups of different photographs", "groups", [int((distinct > 1).sum())]),
        row(case, "different photographs left out", "images", [int((distinct - 1).sum())]),
        row(case, "questions", "pairs", [len(questions)]),
        row(case, "questions about different photographs", "pairs", [apart]),
    ]


def asked(groups: Groups) -> set[frozenset[str]]:
    """The pairs of the review queue: each image with its likeliest, the likeliest dup_questions of all."""
    likeliest = groups.maybe.sort_values("score", ascending=False).drop_duplicates("image_id")
    pairs = likeliest.head(CurateParams().dup_questions)
    return {frozenset(pair) for pair in pairs[["image_id", "other"]].itertuples(index=False)}


def sheet(groups: Groups, photographs: dict[str, bytes]) -> Image.Image:
    """Every group, one a line, then the questions, two pairs and more a line."""
    group = groups.frame["dup_group"].dropna()
    lines = [list(part.index) for _, part in group.groupby(group)]
    pairs = groups.maybe.sort_values("score", ascending=False).drop_duplicates("image_id")
    flat = (
        pairs.head(CurateParams().dup_questions)[["image_id", "other"]].to_numpy().ravel().tolist()
    )
    lines += [[]] if lines else []
    lines += [flat[at : at + PER_LINE] for at in range(0, len(flat), PER_LINE)]
    whole = Image.new("RGB", (PER_LINE * TILE_PX, max(1, len(lines)) * TILE_PX), "black")
    for down, line in enumerate(lines):
        for across, name in enumerate(line[:PER_LINE]):
            tile = ImageOps.contain(
                Image.open(io.BytesIO(photographs[name])).convert("RGB"), (TILE_PX - 6,) * 2
            )
            whole.paste(tile, (across * TILE_PX, down * TILE_PX))
    return whole


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation.photograph_copies", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder with clothing.tar")
    parser.add_argument("--sheet", type=Path, help="a folder for the contact sheet")
    parser.add_argument("--each", type=int, default=40, help="copies of each kind (default 40)")
    options = parser.parse_args()
    photographs = read_photographs(options.data / "clothing.tar")
    copies = planted(photographs, options.each, draw=LOOKED_AT)
    originals = {name: original for name, (_, original, _) in copies.items()}
    alone = inspected(photographs)
    as_it_is, _ = grouped(alone)
    seen = alone.beside(inspected(_bytes(copies)))
    groups, cpu_s = grouped(seen)
    by_gradients, gradients_cpu_s = grouped(seen, gradients=True)
    n_found = sum(
        by_gradients.frame["dup_group"][one] == by_gradients.frame["dup_group"][other]
        for one, other in originals.items()
    )
    rows = [
        row("photographs", "images", "images", [len(photographs)]),
        row("photographs", "with planted copies", "images", [len(seen.rows)]),
        row("photographs", "stored view", "bytes", [len(view) for view in seen.views.values()]),
        row(
            "photographs",
            "inspect, with the backbone",
            "CPU ms an image",
            [1000 * seen.cpu_s / len(seen.rows)],
        ),
        row("photographs", "grouping", "CPU s", [cpu_s]),
        row("with gradients", "found, of all kinds", "share", [int(n_found) / len(copies)]),
        row("with gradients", "grouping", "CPU s", [gradients_cpu_s]),
        *false_rows("as they are", as_it_is, {}),
        *copy_rows(groups, copies),
        *false_rows("with planted copies", groups, originals),
        *phash_rows(photographs, copies),
        *held_out_rows(alone, photographs, options.each),
        *print_rows(photographs),
    ]
    if options.sheet:
        sheet(as_it_is, photographs).save(options.sheet / "groups_and_questions.png")
    print(f"wrote {write_results('photograph_copies', rows)}")


if __name__ == "__main__":
    main()
