"""inspect: decode every image once, strictly; hashes, quality and features, shard by shard on all cores."""

from __future__ import annotations

import collections
import logging
from pathlib import Path

import pandas as pd

from pipeline_lib.errors import BadData
from pipeline_lib.files.atomic import atomic_folder, link_or_copy, remove_tree, write_text
from pipeline_lib.harness.memo import Memo, stage_key
from pipeline_lib.harness.shards_once import run_shards_once
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.inspect.embedding import Embedding, find_embedding
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.shard import FEATURES_FILE, IMAGES_FILE, ShardTask, ShardUnit
from pipeline_lib.pixels.other_formats import HEIC_LIBRARY, reads_heic
from pipeline_lib.reasons import Reason
from pipeline_lib.remedies import remedy_of
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS

log = logging.getLogger(__name__)

FORMAT_VERSION = (
    11  # raise it when the same image gives other findings; frozen findings in the tests guard it
)
LIBRARIES = ("numpy", "opencv-python", "pandas", "pillow", "pyarrow", "simplejpeg")


def run(job: StageRun[InspectParams]) -> None:
    """Write images.parquet, features/ and pixel_rules.json. Raises ConfigError, OutputDamaged, Interrupted."""
    params = job.params
    # Relative to the original repository, also in a workspace; checked before any image is read.
    embedding = find_embedding(params, job.settings.origin(job.checkout))
    log.info("features: %s", embedding.described() if embedding else "gradients")
    task = ShardTask(job.reads["shards"], params, embedding)
    members = MEMBERS.read(job.reads["members"])
    members = members[members["shard"].notna()]
    parts = job.writes["images"].with_name("shards.partial")
    remove_tree(parts)
    shards = {
        str(shard): ShardUnit(rows, parts / str(shard)) for shard, rows in members.groupby("shard")
    }
    memo_folder = job.settings.state_folder(job.checkout) / "memo" / "inspect"
    memo = Memo(memo_folder, _stage_key(params, embedding))
    run_shards_once(
        "inspect",
        task,
        shards,
        memo=memo,
        libraries=_libraries(embedding),
        settings=job.settings,
        spare=_pass_over,
    )
    _gather(sorted(shards), parts, job.writes, expected=len(members))
    write_text(job.writes["pixel_rules"], params.pixel_rules().model_dump_json(indent=1) + "\n")
    remove_tree(parts)
    memo.forget_older_than(job.settings.memo_days)


def _stage_key(params: InspectParams, embedding: Embedding | None) -> str:
    """Return the memo's key, with what really makes the vectors: not its name in params, or the path of its file."""
    named = {"embedding_weights", "weights_sha256", "embedding_network"}
    used = embedding.identity if embedding else "gradients"
    return stage_key(
        format_version=FORMAT_VERSION,
        params=f"{params.model_dump_json(exclude=named)} {used}",
        libraries=_libraries(embedding),
    )


def _libraries(embedding: Embedding | None) -> tuple[str, ...]:
    heic = (HEIC_LIBRARY,) if reads_heic() else ()
    return LIBRARIES + heic + (embedding.libraries if embedding else ())


def _pass_over(unit: ShardUnit, image_id: str, cause: str) -> ShardUnit:
    log.warning("%s ended the process that decoded it, twice (%s); it is skipped", image_id, cause)
    return unit.without(image_id, cause)


def _gather(shards: list[str], parts: Path, writes: dict[str, Path], *, expected: int) -> None:
    """Combine the tables of all shards into the outputs."""
    with atomic_folder(writes["features"]) as folder:
        for shard in shards:
            link_or_copy(parts / shard / FEATURES_FILE, folder / f"{shard}.parquet")
    frames = [IMAGES.read(parts / shard / IMAGES_FILE) for shard in shards]
    images = pd.concat(frames, ignore_index=True) if frames else IMAGES.empty()
    assert len(images) == expected, (len(images), expected)
    refused = collections.Counter(images["refusal"].dropna())
    if expected and len(images) == refused.total():
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(refused.items()))
        remedy = remedy_of(Reason(max(sorted(refused), key=lambda reason: refused[reason])))
        raise BadData(
            f"none of {expected} images can be used",
            file=writes["images"],
            value=reasons,
            remedy=remedy,
        )
    if n_low := int(images["low_bits"].eq(True).sum()):
        log.warning(
            "%d images use at most 12 of their 16 bits and are nearly black (low_bits): scale them to 16 bits, or let "
            "a grey PNG state its bits (sBIT)",
            n_low,
        )
    IMAGES.write(images, writes["images"])
    log.info(
        "%d images, %d refused%s",
        len(images),
        refused.total(),
        "".join(f"; {r} {n}" for r, n in refused.most_common()),
    )
