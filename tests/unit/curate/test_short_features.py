"""Features are shortened to the same bits however the images are spread over shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline_lib.curate.inputs import DESCRIBED, _short_features
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.tables.features import FEATURES

N, D = 400, 300


def write_shards(folder: Path, table: pd.DataFrame, shard_of: list[int]) -> Path:
    for shard, rows in table.groupby(np.array(shard_of)):
        FEATURES.write(rows, folder / f"{shard:02d}.parquet")
    return folder


def test_the_packing_changes_no_bit_of_shortened_features(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "image_id": [f"pics/{n:04d}.jpg" for n in range(N)],
            "kind": "hog",
            "vector": list(random.normal(size=(N, D)).astype(np.float16)),
        }
    ).reindex(columns=[column.name for column in FEATURES.columns])
    table["thumbnail"] = [bytes(1024)] * N
    table["view"] = [b""] * N
    params = CurateParams(cl_train_rows=250)

    packed = [
        _short_features(write_shards(tmp_path / name, table, shard_of), params)
        for name, shard_of in (
            ("by_name", [n // 130 for n in range(N)]),
            ("scattered", random.integers(0, 40, N).tolist()),
            ("alone", [0 if n else 1 for n in range(N)]),
        )
    ]

    for other in packed[1:]:
        assert other[["image_id", "kind"]].equals(packed[0][["image_id", "kind"]])
        assert np.array_equal(
            np.stack(other["vector"].to_list()), np.stack(packed[0]["vector"].to_list())
        )
    assert list(packed[0].columns) == DESCRIBED and packed[0]["vector"].iloc[0].shape == (128,)
