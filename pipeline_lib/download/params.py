"""Parameters of `download`."""

from __future__ import annotations

from pydantic import Field, model_validator

from pipeline_lib.params_file import Params
from pipeline_lib.shards.cut import ShardSizes
from pipeline_lib.shards.limits import ArchiveLimits

MIB = 1 << 20


class DownloadParams(Params):
    """How images are grouped into shards, the unit of work and of reuse, and what an archive may unpack to."""

    shard_min_bytes: int = Field(
        256 * MIB, ge=1, le=1 << 40, description="a piece shorter than this joins what follows, bytes"
    )
    shard_target_bytes: int = Field(
        1024 * MIB, ge=2, le=1 << 40, description="size of most shards, bytes; at least twice the minimum"
    )
    shard_max_bytes: int = Field(
        2048 * MIB, ge=4, le=1 << 40, description="no shard of several images is larger, bytes"
    )
    max_file_bytes: int = Field(
        2_304_000_000,
        ge=1,
        le=1 << 40,
        description="files over this size, loose or in an archive, are refused as file_too_large; the default is the "
        "memory that an image of 64 million pixels may take, so that no larger file can be used; bytes",
    )
    max_unpacked_bytes: int = Field(
        1 << 40,
        ge=1,
        le=1 << 50,
        description="a compressed archive that unpacks to more is refused as a whole; ImageNet: 150 GB; bytes",
    )
    max_unpacked_ratio: int = Field(
        200,
        ge=1,
        le=1 << 30,
        description="a compressed archive that unpacks to more than 256 MiB and to more bytes than this for each byte "
        "received is refused as a whole; deflate reaches about 1,000, photographs are compressed already",
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

    def archive_limits(self) -> ArchiveLimits:
        """The limits as `take_archive` wants them."""
        return ArchiveLimits(self.max_file_bytes, self.max_unpacked_bytes, self.max_unpacked_ratio)


PARAMS = DownloadParams
