"""Parameters of `download`."""

from __future__ import annotations

from pydantic import Field, model_validator

from pipeline_lib.params_file import Params
from pipeline_lib.shards.cut import ShardSizes
from pipeline_lib.shards.limits import ArchiveLimits

MIB = 1 << 20


class DownloadParams(Params):
    """How images are grouped into shards, the unit of work and of reuse, and limits on the unpacked size of archives."""

    shard_min_bytes: int = Field(
        256 * MIB,
        ge=1,
        le=1 << 40,
        description="minimum size of a shard, bytes; a smaller piece is joined to the next one",
    )
    shard_target_bytes: int = Field(
        1024 * MIB,
        ge=2,
        le=1 << 40,
        description="typical size of a shard, bytes; at least twice shard_min_bytes",
    )
    shard_max_bytes: int = Field(
        2048 * MIB,
        ge=4,
        le=1 << 40,
        description="maximum size of a shard, bytes, except where a single image is larger",
    )
    max_file_bytes: int = Field(
        2_304_000_000,
        ge=1,
        le=1 << 40,
        description="maximum size of a file, loose or in an archive, bytes; larger files are refused as "
        "file_too_large. The default is the memory that decoding an image of 64 million pixels may take",
    )
    max_unpacked_bytes: int = Field(
        1 << 40,
        ge=1,
        le=1 << 50,
        description="maximum unpacked size of a compressed archive, bytes; a larger one is refused as a whole "
        "(ImageNet: 150 GB)",
    )
    max_unpacked_ratio: int = Field(
        200,
        ge=1,
        le=1 << 30,
        description="maximum ratio of unpacked to received bytes of a compressed archive that unpacks to more than "
        "256 MiB; above it the archive is refused as a whole. Deflate reaches about 1,000; photographs hardly "
        "compress at all",
    )

    @model_validator(mode="after")
    def _sizes_leave_room(self) -> DownloadParams:
        if (
            self.shard_target_bytes < 2 * self.shard_min_bytes
            or self.shard_max_bytes < 2 * self.shard_target_bytes
        ):
            raise ValueError(
                "shard_target_bytes must be at least twice shard_min_bytes, and shard_max_bytes twice that"
            )
        return self

    def shard_sizes(self) -> ShardSizes:
        """The limits in the form `cut_shards` takes."""
        return ShardSizes(self.shard_min_bytes, self.shard_target_bytes, self.shard_max_bytes)

    def archive_limits(self) -> ArchiveLimits:
        """The limits in the form `take_archive` takes."""
        return ArchiveLimits(self.max_file_bytes, self.max_unpacked_bytes, self.max_unpacked_ratio)


PARAMS = DownloadParams
