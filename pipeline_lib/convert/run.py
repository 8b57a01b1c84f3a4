"""The stage `convert`: every shard becomes a beton of its decodable images, without labels, splits or decisions."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path

import pandas as pd

from pipeline_lib.convert.estimate import announce
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.convert.shard import Task, convert_shard
from pipeline_lib.convert.stored import ReceivedImage
from pipeline_lib.files.atomic import atomic_folder, write_text
from pipeline_lib.harness.memo import Memo, stage_key
from pipeline_lib.harness.shards_once import run_shards_once
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.pixels import PixelRules
from pipeline_lib.pixels.other_formats import HEIC_LIBRARY, reads_heic
from pipeline_lib.pixels.pixelate import check_detector
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS

log = logging.getLogger(__name__)
FORMAT_VERSION = 4  # raise it when the code writes other bytes for the same input
LIBRARIES = ("numpy", "pandas", "pillow", "pyarrow", "simplejpeg")  # make the bytes
SEEN = ("width_px", "height_px", "exif_orientation")  # findings of `inspect` about an image


def run(job: StageRun[ConvertParams]) -> None:
    """Read shards, members, images and pixel rules; write betons/. Raises ConfigError, and as `convert_shard` does."""
    if job.params.pixelate and job.params.pixelate_sha256:
        check_detector(job.params.pixelate, job.params.pixelate_sha256)
    rules = PixelRules.model_validate_json(job.reads["pixel_rules"].read_text(encoding="utf-8"))
    members = MEMBERS.read(job.reads["members"])
    images = IMAGES.read(job.reads["images"], ["image_id", "refusal", *SEEN])
    described = pixels_description(job.params, rules)
    memo_folder = job.settings.state_folder(job.checkout) / "memo" / "convert"
    memo = Memo(
        memo_folder,
        stage_key(format_version=FORMAT_VERSION, params=described, libraries=_libraries()),
    )
    with atomic_folder(job.writes["betons"]) as folder:
        tasks = plan_tasks(
            members,
            images,
            shards_folder=job.reads["shards"],
            folder=folder,
            params=job.params,
            rules=rules,
        )
        run_shards_once(
            "convert",
            convert_shard,
            {task.shard: task for task in tasks},
            memo=memo,
            libraries=_libraries(),
            settings=job.settings,
            announce=partial(announce, folder=folder, settings=job.settings),
        )
        write_text(folder / "pixels.json", described)
    memo.forget_older_than(job.settings.memo_days)
    log.info(
        "%d images in %d betons",
        sum(len(task.images) for task in tasks),
        sum(bool(task.images) for task in tasks),
    )


def plan_tasks(
    members: pd.DataFrame,
    images: pd.DataFrame,
    *,
    shards_folder: Path,
    folder: Path,
    params: ConvertParams,
    rules: PixelRules,
) -> list[Task]:
    """Make one task per shard, sorted by name; a shard without decodable images gets an empty task."""
    decodable = images[images["refusal"].isna()].drop(columns="refusal")
    held = members.dropna(subset=["shard"]).merge(
        decodable, on="image_id", how="left", validate="one_to_one"
    )
    held = held.sort_values(["shard", "row_in_shard"])
    numbers = [held[name].fillna(0).astype(int) for name in ("offset_bytes", "size_bytes", *SEEN)]
    columns = [column.tolist() for column in (held["image_id"], held["container"], *numbers)]
    by_shard: dict[str, list[ReceivedImage]] = {}
    for shard, is_decodable, *values in zip(
        held["shard"], held[SEEN[0]].notna(), *columns, strict=True
    ):
        of_shard = by_shard.setdefault(shard, [])
        if is_decodable:
            of_shard.append(ReceivedImage(*values))
    return [
        Task(shard, folder, tuple(of_shard), shards_folder, params, rules)
        for shard, of_shard in by_shard.items()
    ]


def pixels_description(params: ConvertParams, rules: PixelRules) -> str:
    """Return the text of pixels.json: all rules for stored pixels, so that prediction can repeat them."""
    unused = {"pixelate", "pixelate_sha256"} if params.pixelate is None else set()
    described = {"pixel_rules": rules.model_dump(), **params.model_dump(exclude=unused)}
    return json.dumps(described, indent=1, sort_keys=True) + "\n"


def _libraries() -> tuple[str, ...]:
    return LIBRARIES + ((HEIC_LIBRARY,) if reads_heic() else ())
