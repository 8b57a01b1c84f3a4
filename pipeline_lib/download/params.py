"""Parameters of `download`."""

from __future__ import annotations

from pydantic import Field, model_validator

from pipeline_lib.params_file import Params
from pipeline_lib.shards.cut import ShardSizes

MIB = 1 << 20


class DownloadParams(Params):
    """How pictures are grouped into shards, the unit of work and of reuse."""

    shard_min_bytes: int = Field(
        256 * MIB, ge=1, le=1 << 40, description="a piece shorter than this joins what follows, bytes"
    )
    shard_target_bytes: int = Field(
        1024 * MIB, ge=2, le=1 << 40, description="size of most shards, bytes; at least twice the minimum"
    )
    shard_max_bytes: int = Field(
        2048 * MIB, ge=4, le=1 << 40, description="no shard of several pictures is larger, bytes"
    )

    @model_validator(mode="after")
    def _sizes_leave_room(self) -> DownloadParams:
        if self.shard_target_bytes < 2 * self.shard_min_bytes or self.shard_max_bytes < 2 * self.shard_target_bytes:
            raise ValueError(
                "shard_target_bytes must be at least twice shard_min_bytes, and shard_max_bytes twice that"
            )
        return self

    def shard_sizes(self) -> ShardSizes:
        """The limits as `cut_shards` wants them."""
        return ShardSizes(self.shard_min_bytes, self.shard_target_bytes, self.shard_max_bytes)


PARAMS = DownloadParams
