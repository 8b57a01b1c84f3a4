"""Tables of any size for `curate`, made by numpy in seconds: what download and inspect would hand over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline_lib.curate.inputs import Inputs
from pipeline_lib.tables.features import FEATURES
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.table import Table
from pipeline_lib.tables.votes import VOTES

COPIES = 0.01  # share of images that have the bytes of another


def made_found(n: int, *, n_classes: int, seed: int = 0) -> Inputs:
    """n images in classes of unequal size, 1 % copies, 1 % damaged, 3 % in subjects; no features, no phashes."""
    random = np.random.default_rng(seed)
    number = np.arange(n)
    looks = np.where(random.random(n) < COPIES, random.integers(0, n, n), number)
    label = pareto_classes(n, n_classes, random)
    damaged = random.random(n) < 0.01
    subject = np.where(random.random(n) < 0.03, number // 130, -1)
    image_id = texts("s/n{:05d}/{:09d}.JPEG", label, number)
    common = {
        "image_id": image_id,
        "shard": texts("{:016x}", number // 10_000),
        "row_in_shard": number % 10_000,
    }
    sha256 = texts("{:064x}", looks)
    members = {
        **common,
        "source": pa.array(["s"] * n),
        "container": common["shard"],
        "offset_bytes": number * 1000,
        "size_bytes": np.full(n, 1000),
        "sha256": sha256,
        "label_received": texts("n{:05d}", label),
        "subject": pa.array([None if s < 0 else f"p{s}" for s in subject.tolist()], pa.string()),
    }
    images = {
        **common,
        "refusal": pa.array(
            ["decode_truncated" if bad else None for bad in damaged.tolist()], pa.string()
        ),
        "format": pa.array(["jpeg"] * n),
        "width_px": np.full(n, 500),
        "height_px": random.integers(300, 600, n),
        "exif_orientation": np.ones(n),
        "has_gps": random.random(n) < 0.01,
        "n_frames": np.ones(n),
        "ext_mismatch": np.zeros(n, bool),
        "trailing_bytes": np.zeros(n),
        **{name: np.zeros(n, bool) for name in ("on_black", "low_bits", "ends_grey")},
        "pixel_hash": texts("{:032x}", looks),
        "luminance_p1": random.integers(0, 20, n),
        "luminance_p50": random.integers(60, 200, n),
        "luminance_p99": random.integers(200, 256, n),
        "entropy_bit": random.normal(7, 0.5, n),
        "subject_bit": random.normal(5, 0.5, n),
        "blur_ratio": random.beta(2, 8, n),
        "least_sharpness": random.normal(2.2, 0.2, n),
        "clipped_share": random.beta(1, 20, n),
        "white_share": np.zeros(n),
    }
    overrides_file, manifest_file = (
        Path("curation/overrides.csv"),
        Path("line/curate/manifest.parquet"),
    )
    return Inputs(
        members=as_read(members, MEMBERS),
        images=as_read(images, IMAGES),
        votes=VOTES.empty(),
        features=FEATURES.empty(),
        views=lambda _: {},
        overrides=(),
        class_words={},
        overrides_file=overrides_file,
        manifest_file=manifest_file,
    )


def pareto_classes(n: int, n_classes: int, random: np.random.Generator) -> np.ndarray:
    """The class of each of n rows: class k gets a share that falls as 1 / (k + 10)."""
    shares = 1 / (np.arange(n_classes) + 10)
    return random.choice(n_classes, n, p=shares / shares.sum())


def texts(form: str, *columns: np.ndarray) -> pa.Array:
    """One string per row."""
    return pa.array(
        [
            form.format(*cells)
            for cells in zip(*(column.tolist() for column in columns), strict=True)
        ]
    )


def as_read(columns: dict[str, object], table: Table) -> pd.DataFrame:
    """A frame with the table's columns and types, as reading a written one gives it; absent columns are empty."""
    n = len(next(iter(columns.values())))
    schema = table.schema()
    arrays = [
        pa.array(columns[field.name]).cast(field.type)
        if field.name in columns
        else pa.nulls(n, field.type)
        for field in schema
    ]
    frame: pd.DataFrame = pa.Table.from_arrays(arrays, schema=schema).to_pandas(
        types_mapper=pd.ArrowDtype
    )
    return frame
