"""How many altered copies of an image are found, how many different images are taken for copies, and how fast.

    python -m benchmarks.curation.duplicates [--photographs 120] [--scenes 60] [--hashes 1281167]

Photographs of benchmarks/support/photographs.py and drawn scenes are altered in one way at a time, and go with the
originals through `inspect`, with the built-in backbone, and the grouping of `curate` at their defaults. Found: the copy
is in its original's group; asked: it is not, and the pair is among the questions of the review queue. Different images:
windows of different photographs. The join is measured on random hashes with planted pairs. Writes
benchmarks/results/duplicates.json.
"""

from __future__ import annotations

import argparse
import io
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from benchmarks.curation.photograph_copies import asked, grouped, inspected
from benchmarks.support.photographs import FOLDER, make_photographs
from benchmarks.support.results_file import Row, kept_rows, row, write_results
from pipeline_lib.curate.duplicate_hashes import close_pairs, proposed_pairs

Change = Callable[[Image.Image], Image.Image]
PLANTED = 5000
N_PHOTOGRAPHS = 1024  # for the false positives: half a million pairs of different photographs


def _jpeg(image: Image.Image, quality: int = 90, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind, quality=quality)
    return file.getvalue()


def _part(image: Image.Image, share: float, *, corner: bool = False) -> Image.Image:
    """The centre, or the upper left corner, of this share of each side."""
    width, height = image.size
    left, top = (
        (0, 0) if corner else (round(width * (1 - share) / 2), round(height * (1 - share) / 2))
    )
    return image.crop((left, top, left + round(width * share), top + round(height * share)))


def _sized(image: Image.Image, share: float) -> Image.Image:
    return image.resize(
        (round(image.width * share), round(image.height * share)), Image.Resampling.BICUBIC
    )


def _captioned(image: Image.Image) -> Image.Image:
    """A strip of a tenth of the height with text over the lower edge."""
    captioned = image.copy()
    pen, top = ImageDraw.Draw(captioned), round(image.height * 0.9)
    pen.rectangle((0, top, image.width, image.height), fill="white")
    pen.text((5, top + 5), "a caption, as agencies print it", fill="black")
    return captioned


CHANGES: dict[str, Change] = {
    "row 8: half the size": lambda p: _sized(p, 0.5),
    "row 8: a quarter of the size": lambda p: _sized(p, 0.25),
    "row 8: another aspect": lambda p: p.resize((300, 300)),
    "row 8: grey": lambda p: p.convert("L").convert("RGB"),
    "row 8: blurred, 2 px": lambda p: p.filter(ImageFilter.GaussianBlur(2)),
    "row 8: contrast x 1.4": lambda p: ImageEnhance.Contrast(p).enhance(1.4),
    "row 8: brightness x 1.3": lambda p: ImageEnhance.Brightness(p).enhance(1.3),
    "row 9: mirror": ImageOps.mirror,
    "row 9: turned by 90 degrees": lambda p: p.transpose(Image.Transpose.ROTATE_90),
    "row 9: turned by 180 degrees": lambda p: p.transpose(Image.Transpose.ROTATE_180),
    "row 9: centre crop 95 %": lambda p: _part(p, 0.95),
    "row 9: centre crop 90 %": lambda p: _part(p, 0.90),
    "row 9: centre crop 80 %": lambda p: _part(p, 0.80),
    "row 9: border of 5 %": lambda p: ImageOps.expand(p, round(0.05 * min(p.size)), "white"),
    "row 10: corner crop 90 %": lambda p: _part(p, 0.90, corner=True),
    "row 10: corner crop 80 %": lambda p: _part(p, 0.80, corner=True),
    "row 10: caption of 10 %": _captioned,
}
ENCODINGS = {
    "row 8: JPEG quality 75": (75, "JPEG"),
    "row 8: JPEG quality 30": (30, "JPEG"),
    "row 8: JPEG quality 10": (10, "JPEG"),
    "row 8: WebP quality 60": (60, "WEBP"),
}


def drawn_scene(number: int) -> Image.Image:
    """Ellipses, boxes and lines of random place, size and colour on a sloping background, 400 x 300 px."""
    rng = np.random.default_rng(number)
    slope = np.linspace(0, 1, 400)[None, :, None] * rng.uniform(-80, 80, 3) + rng.uniform(
        60, 190, 3
    )
    noisy = np.repeat(slope, 300, axis=0) + rng.normal(0, 4, (300, 400, 3))
    scene = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(scene)
    for _ in range(int(rng.integers(8, 25))):
        x, y = rng.integers(-40, 400), rng.integers(-40, 300)
        w, h = rng.integers(10, 160, 2)
        colour = tuple(int(level) for level in rng.integers(0, 256, 3))
        draw = (pen.ellipse, pen.rectangle)[int(rng.integers(2))]
        draw((int(x), int(y), int(x + w), int(y + h)), fill=colour)
        pen.line(
            (int(x), int(y), *(int(end) for end in rng.integers(0, 300, 2))), fill=colour, width=3
        )
    return scene


def recall_rows(originals: list[Image.Image]) -> list[Row]:
    """For each change, the shares of copies that are in their original's group, and that are asked about."""
    plain = inspected({f"{n:05}/original": _jpeg(image, 95) for n, image in enumerate(originals)})
    rows = []
    for name in (*ENCODINGS, *CHANGES):
        copies = {}
        for n, image in enumerate(originals):
            data = (
                _jpeg(image, *ENCODINGS[name]) if name in ENCODINGS else _jpeg(CHANGES[name](image))
            )
            copies[f"{n:05}/copy"] = data
        groups, _ = grouped(plain.beside(inspected(copies)))
        group, questions = groups.frame["dup_group"], asked(groups)
        pairs = [(f"{n:05}/copy", f"{n:05}/original") for n in range(len(originals))]
        found = [bool(group[copy] == group[original]) for copy, original in pairs]
        open_ = [
            not there and frozenset(pair) in questions
            for there, pair in zip(found, pairs, strict=True)
        ]
        rows.append(row(name, "found", "share", [float(np.mean(found))]))
        rows.append(row(name, "asked", "share", [float(np.mean(open_))]))
        print(f"{name}: {np.mean(found):.3f} of {len(found)} found, {sum(open_)} asked", flush=True)
    return rows


def false_rows(paths: list[Path]) -> list[Row]:
    """Pairs of windows of different photographs that fall into one group, or become a question."""
    images = {f"{path.parent.name}/{path.name}": path.read_bytes() for path in paths}
    groups, _ = grouped(inspected(images))
    names = groups.frame.index
    photograph = pd.Series([name.partition("/")[0] for name in names], index=names)
    n_pairs = (len(photograph) ** 2 - (photograph.value_counts() ** 2).sum()) // 2
    false = sum(
        (len(part) ** 2 - (part.value_counts() ** 2).sum()) // 2
        for _, part in photograph.groupby(groups.frame["dup_group"])
    )
    asked = (
        groups.maybe["image_id"].map(photograph) != groups.maybe["other"].map(photograph)
    ).sum()
    case = "row 11: different photographs"
    return [
        row(case, "pairs", "pairs", [int(n_pairs)]),
        row(case, "in one group", "pairs", [int(false)]),
        row(case, "asked about", "pairs", [int(asked)]),
    ]


def join_rows(n: int) -> list[Row]:
    """The join of n random hashes at 3 and at 6 bits; of a tenth of them at 10 bits, and as `curate` does it."""
    rng = np.random.default_rng(0)
    rows = []
    for case, max_bits, n_hashes, whole in (
        (f"row 12: 3 bits, {n} hashes", 3, n, False),
        (f"row 12: 6 bits, {n} hashes", 6, n, False),
        (f"row 12: 10 bits, for review, {n // 10} hashes", 10, n // 10, False),
        (f"row 12: 6 bits, all forms and parts, {n // 10} hashes", 6, n // 10, True),
    ):
        hashes = rng.integers(0, 2**64, (7 if whole else 1, n_hashes), dtype=np.uint64)
        at = rng.choice(n_hashes, (PLANTED, 2), replace=False)
        flips = [
            sum(1 << int(bit) for bit in rng.choice(64, max_bits, replace=False))
            for _ in range(PLANTED)
        ]
        hashes[0, at[:, 1]] = hashes[0, at[:, 0]] ^ np.array(flips, np.uint64)
        wall, cpu = time.monotonic(), time.process_time()
        if whole:
            found = proposed_pairs(hashes[0], hashes[1:], max_bits=max_bits)
        else:
            found = close_pairs(hashes, hashes, max_bits=max_bits)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        there = {tuple(pair) for pair in found.pairs.tolist()}
        recall = np.mean([tuple(sorted(pair)) in there for pair in at.tolist()])
        rows += [
            row(case, "wall", "s", [wall]),
            row(case, "CPU", "s", [cpu]),
            row(case, "planted pairs found", "share", [float(recall)]),
            row(case, "buckets cut", "buckets", [found.n_cut]),
            row(
                case,
                "peak memory so far",
                "GB",
                [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6],
            ),
        ]
        print(f"{case}: {wall:.1f} s, {recall:.4f} found", flush=True)
    return rows


def _join_of_last_run() -> list[Row]:
    return [one for one in kept_rows("duplicates", but=()) if one.case.startswith("row 12")]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation.duplicates", description=__doc__
    )
    parser.add_argument(
        "--photographs", type=int, default=120, help="photographs to alter (default 120)"
    )
    parser.add_argument("--scenes", type=int, default=60, help="drawn scenes to alter (default 60)")
    parser.add_argument(
        "--hashes",
        type=int,
        default=1_281_167,
        help="hashes to join (default: ImageNet's train; 0: keep row 12)",
    )
    options = parser.parse_args()
    paths = make_photographs(FOLDER, count=N_PHOTOGRAPHS, images=None)
    chosen = paths[:: max(1, len(paths) // options.photographs)][: options.photographs]
    originals = [Image.open(path).convert("RGB") for path in chosen]
    originals += [drawn_scene(number) for number in range(options.scenes)]
    rows = [row("row 8: originals", "photographs and scenes", "images", [len(originals)])]
    rows += join_rows(options.hashes) if options.hashes else _join_of_last_run()
    rows += false_rows(paths) + recall_rows(originals)
    print(f"wrote {write_results('duplicates', rows)}")


if __name__ == "__main__":
    main()
