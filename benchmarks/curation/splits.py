"""The split rule on a large made-up set: leaks, moves after new data, and how evenly classes are split.

    python -m benchmarks.curation.splits [--rows 60000] [--seeds 5]

60,000 images in 300 classes whose sizes fall as 1 / (rank + 10), 3 % of them in subjects of four (persons, bursts)
that must not be torn apart; val is a tenth, test a fifth. Then a tenth more images arrive, among them copies of old
ones. Counted with the functions of `curate`: subjects in two splits, old images that moved, evaluation images that
moved although a copy came, and the standard deviation over classes of at least 100 images of their share in val.
Writes benchmarks/results/splits.json.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from benchmarks.support.made_tables import pareto_classes
from benchmarks.support.results_file import row, write_results
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.splits import assign_splits, split_keys

CLASSES, SHARED, LARGE = 300, 0.03, 100
PARAMS = CurateParams()


def made_rows(n: int, seed: int) -> pd.DataFrame:
    """n old images and n / 10 new ones, a tenth of which are copies of old ones; index image_id."""
    random = np.random.default_rng(seed)
    total = n + n // 10
    looks = np.arange(total)
    copies = np.flatnonzero((looks >= n) & (random.random(total) < 0.1))
    looks[copies] = random.integers(0, n, len(copies))
    subject = pd.Series([f"person {number // 4}" for number in range(total)], dtype="str")
    columns = {
        "source": "s",
        "class": pareto_classes(total, CLASSES, random),
        "subject": subject.where((np.arange(total) // 4 % round(1 / SHARED)) == 0),
        "pixel_hash": pd.Series([f"{seed}-{look}" for look in looks], dtype="str"),
        "sha256": pd.Series([f"{number}" for number in range(total)], dtype="str"),
        "split_received": pd.Series(np.nan, index=range(total), dtype="str"),
    }
    return pd.DataFrame(columns).set_axis(pd.Index([f"s/{number}" for number in range(total)]))


def split(rows: pd.DataFrame) -> pd.Series:
    """train, val or test by image_id, as `curate` does it."""
    return assign_splits(split_keys(rows), rows, PARAMS)


def torn(splits: pd.Series, groups: pd.Series) -> float:
    """How many groups lie in more than one split. groups: NaN for images of none."""
    ends = splits.groupby(groups).agg(["min", "max"])
    return float((ends["min"] != ends["max"]).sum())


def measure(n: int, seed: int) -> dict[str, float]:
    """All figures of one draw."""
    rows = made_rows(n, seed)
    before, after = split(rows.iloc[:n]), split(rows)
    evaluated = before.index[before != "train"]
    copied = rows["pixel_hash"].duplicated(keep=False)[evaluated]
    alone = rows[
        "subject"
    ].isna()  # a copy in a subject goes with it, and the training copy leaves (duplicates.py)
    shares = (after == "val").groupby(rows["class"]).agg(["mean", "size"])
    return {
        "subjects in two splits": torn(after, rows["subject"]),
        "equal pixels of no subject in two splits": torn(
            after[alone], rows.loc[alone, "pixel_hash"]
        ),
        "old images moved by a tenth more data": float((before != after[before.index]).sum()),
        "evaluation images moved by a copy of them": float(
            (before != after[before.index])[evaluated][copied].sum()
        ),
        "evaluation images of which a copy came": float(copied.sum()),
        "standard deviation of the share in val": float(
            shares.loc[shares["size"] >= LARGE, "mean"].std()
        ),
        "share in val": float((after == "val").mean()),
        "share in test": float((after == "test").mean()),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation.splits", description=__doc__
    )
    parser.add_argument("--rows", type=int, default=60_000, help="images (default 60000)")
    parser.add_argument("--seeds", type=int, default=5, help="how many sets (default 5)")
    options = parser.parse_args()
    found = [measure(options.rows, seed) for seed in range(options.seeds)]
    case = f"row 17: {options.rows} images, {CLASSES} classes"
    units = {
        name: "share" if "share" in name else "subjects" if "subject" in name else "images"
        for name in found[0]
    }
    rows = [row(case, name, unit, [one[name] for one in found]) for name, unit in units.items()]
    print(f"wrote {write_results('splits', rows)}")
    for one in rows:
        print(f"{one.metric}: {one.median:.4g} ({one.min:.4g} to {one.max:.4g})")


if __name__ == "__main__":
    main()
