"""Planted copies of photographs: how many are found, and which different photographs are taken for copies.

    python -m benchmarks.curation.photograph_copies --data FOLDER [--sheet FOLDER] [--each 40]

FOLDER: clothing.tar (`train|test/<class>/<name>.jpg`), or any tar of photographs. They go through `inspect` and the
grouping of `curate` at their defaults, twice: as they are, and with altered copies of `--each` photographs for each
kind of change, no photograph altered twice. Found: the copy is in its original's group; asked: among the questions of
the review queue. False: photographs in a group with another one that is no copy of it, by the plant list; pairs that
stand in the archive itself count as false until a person has looked (`--sheet` draws all groups and the first questions
of the archive as it is). Different prints on one photograph are no copies.
Writes benchmarks/results/photograph_copies.json.
"""

from __future__ import annotations

import argparse
import io
import random
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.curate.duplicates import Groups, group_duplicates
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.shard import describe

Photograph = Image.Image
ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
TILE_PX, PER_LINE = 160, 8


def _cropped(image: Photograph, share: float) -> Photograph:
    left, top = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((left, top, image.width - left, image.height - top))


CHANGES: dict[str, tuple[Callable[[Photograph], Photograph], int]] = {  # change and JPEG quality
    "crop of 5 %": (lambda p: _cropped(p, 0.05), 90),
    "crop of 10 %": (lambda p: _cropped(p, 0.10), 90),
    "white border of 8 %": (lambda p: ImageOps.expand(p, round(0.08 * min(p.size)), "white"), 90),
    "mirrored": (ImageOps.mirror, 90),
    "turned by 90 degrees": (lambda p: p.transpose(Image.Transpose.ROTATE_90), 90),
    "half the size": (
        lambda p: p.resize((p.width // 2, p.height // 2), Image.Resampling.LANCZOS),
        90,
    ),
    "JPEG quality 40": (lambda p: p, 40),
    "brighter by 20 %": (lambda p: ImageEnhance.Brightness(p).enhance(1.2), 90),
}
PRINTS, N_PRINTS = (0.08, 0.12, 0.2, 0.3), 80
LOOKED_AT, HELD_OUT = (
    13,
    (14, 15, 16, 17),
)  # draws of the originals: thresholds were chosen on the first


@dataclass(frozen=True)
class Inspected:
    """rows, features: by image_id, as `curate` reads them. views: the stored small views. cpu_s: of making them."""

    rows: pd.DataFrame
    features: pd.DataFrame
    views: dict[str, bytes]
    cpu_s: float


def read_photographs(archive: Path) -> dict[str, bytes]:
    """The files of a tar that are named like images, by name."""
    with tarfile.open(archive) as tar:
        found = {
            one.name: tar.extractfile(one)
            for one in tar
            if one.isfile() and one.name.lower().endswith(ENDINGS)
        }
        return {name: file.read() for name, file in found.items() if file is not None}


def planted(
    photographs: dict[str, bytes], each: int, *, draw: int
) -> dict[str, tuple[str, str, bytes]]:
    """Name of the copy -> (kind, name of the original, bytes)."""
    names = sorted(photographs)
    random.Random(draw).shuffle(names)
    copies = {}
    for number, (kind, (change, quality)) in enumerate(CHANGES.items()):
        for name in names[number * each : (number + 1) * each]:
            file = io.BytesIO()
            changed = change(Image.open(io.BytesIO(photographs[name])).convert("RGB"))
            changed.save(file, "JPEG", quality=quality)
            copies[f"copies/{number}/{name}"] = (kind, name, file.getvalue())
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
        described = describe(found, None)
        if (view := described.pop("view")) is not None:
            views[name] = view
        features.append({"image_id": name, **described})
    frames = [pd.DataFrame(table).set_index("image_id") for table in (rows, features)]
    return Inspected(frames[0], frames[1], views, time.process_time() - start)


def grouped(seen: Inspected) -> tuple[Groups, float]:
    """The groups and questions at default settings, and the CPU seconds they took."""
    start = time.process_time()
    groups = group_duplicates(
        seen.rows,
        seen.features,
        lambda names: {name: seen.views[name] for name in names},
        CurateParams(),
    )
    return groups, time.process_time() - start


def copy_rows(groups: Groups, copies: dict[str, tuple[str, str, bytes]]) -> list[Row]:
    """Recall by kind, and what is false."""
    group, questions = groups.frame["dup_group"], asked(groups)
    rows = []
    for kind in CHANGES:
        pairs = [
            (copy, original) for copy, (of_kind, original, _) in copies.items() if of_kind == kind
        ]
        found = [bool(group[copy] == group[original]) for copy, original in pairs]
        open_ = [
            not there and frozenset(pair) in questions
            for there, pair in zip(found, pairs, strict=True)
        ]
        rows.append(row(kind, "copies", "images", [len(pairs)]))
        rows.append(row(kind, "found", "share", [sum(found) / len(pairs)]))
        rows.append(row(kind, "asked", "share", [sum(open_) / len(pairs)]))
        print(f"{kind}: {sum(found)} of {len(pairs)} found, {sum(open_)} asked", flush=True)
    return rows


def held_out_rows(photographs: dict[str, bytes], each: int) -> list[Row]:
    """The same of draws of originals that nobody looked at while choosing thresholds; one figure for each draw."""
    found, false = [], []
    for draw in HELD_OUT:
        copies = planted(photographs, each, draw=draw)
        groups, _ = grouped(
            inspected({**photographs, **{name: data for name, (_, _, data) in copies.items()}})
        )
        rows = copy_rows(groups, copies)
        found.append(min(one.median for one in rows if one.metric == "found"))
        originals = {name: original for name, (_, original, _) in copies.items()}
        false += [
            one.median
            for one in false_rows(f"draw {draw}", groups, originals)
            if "different" in one.metric
        ][:1]
    return [
        row("held-out draws", "found, of the kind that is found least", "share", found),
        row("held-out draws", "groups of different photographs", "groups", false),
    ]


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
    middle = _cropped(printed, 0.5).resize((round(page.width * share), round(page.height * share)))
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
    as_it_is, _ = grouped(inspected(photographs))
    seen = inspected({**photographs, **{name: data for name, (_, _, data) in copies.items()}})
    groups, cpu_s = grouped(seen)
    sizes = [len(view) for view in seen.views.values()]
    rows = [
        row("photographs", "images", "images", [len(photographs)]),
        row("photographs", "stored view", "bytes", sizes),
        row("photographs", "inspect", "CPU ms an image", [1000 * seen.cpu_s / len(seen.rows)]),
        row("photographs", "grouping", "CPU s", [cpu_s]),
        *false_rows("as they are", as_it_is, {}),
        *copy_rows(groups, copies),
        *false_rows(
            "with planted copies",
            groups,
            {name: original for name, (_, original, _) in copies.items()},
        ),
        *held_out_rows(photographs, options.each),
        *print_rows(photographs),
    ]
    if options.sheet:
        sheet(as_it_is, photographs).save(options.sheet / "groups_and_questions.png")
    print(f"wrote {write_results('photograph_copies', rows)}")


if __name__ == "__main__":
    main()
