"""Keep the shards of the last run, and pack beside them only what is new.

A shard that lost members or holds a replaced one is written again, and no other: new members make shards of their own,
wherever their names stand. That leaves small shards, a night's few images each. They are merged as log-structured
storage merges its runs (O'Neil et al., "The Log-Structured Merge-Tree", 1996; size-tiered, as in Apache Cassandra):
FAN_IN of about one size make one of the next size. So there are at most FAN_IN - 1 of each size, and a member is
written again once per size at most, not every night.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from pipeline_lib.shards.cut import ShardSizes, cut_shards

FAN_IN = 8
Shard = tuple[int, ...]  # positions of its members, in order


def pack_again(
    names: Sequence[str],
    sizes_bytes: Sequence[int],
    before: Sequence[Sequence[str]],
    limits: ShardSizes,
) -> list[Shard]:
    """Distribute N members, ordered by name, over shards. before: the names in each shard of the last run.

    Without an earlier run this is `cut_shards`. The result depends on the sizes, the names and `before` alone.
    """
    position = {name: at for at, name in enumerate(names)}
    standing = [[position[name] for name in shard if name in position] for shard in before]
    held = {at for shard in standing for at in shard}
    new = [at for at in range(len(names)) if at not in held]

    def cut(members: Sequence[int]) -> list[Shard]:
        parts = cut_shards(
            [names[at] for at in members], [sizes_bytes[at] for at in members], limits
        )
        return [tuple(members[number] for number in part) for part in parts]

    def size(shard: Shard) -> int:
        return sum(sizes_bytes[at] for at in shard)

    shards: list[Shard] = []
    for members in standing:
        kept = tuple(members)
        is_over = len(kept) > 1 and size(kept) > limits.max_bytes  # by larger replacements
        shards += cut(kept) if is_over else [kept] if kept else []
    shards += cut(new)
    while group := _to_merge(shards, [size(shard) for shard in shards], limits.min_bytes):
        merged = sorted(at for shard in group for at in shard)
        shards = [shard for shard in shards if shard not in group] + cut(merged)
    return sorted(shards)


def _to_merge(shards: Sequence[Shard], sizes: Sequence[int], min_bytes: int) -> set[Shard]:
    """The smallest FAN_IN or more shards of one size class below the minimum; none if no class has that many."""
    classes: dict[int, set[Shard]] = defaultdict(set)
    for shard, size_bytes in zip(shards, sizes, strict=True):
        if size_bytes < min_bytes:
            classes[math.floor(math.log(min_bytes / max(size_bytes, 1), FAN_IN))].add(shard)
    full = [number for number, members in classes.items() if len(members) >= FAN_IN]
    return classes[max(full)] if full else set()
