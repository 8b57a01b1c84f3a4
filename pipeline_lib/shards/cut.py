"""Cut shards at content-defined places, so that a change affects only the shards near it.

After each member, a hash of its name draws whether a piece ends there; the chance is its size over the mean piece, so
no position and no neighbour counts. A piece shorter than the minimum is joined to what follows. Hence, for members in a
fixed order:
- appended members change the last shard only;
- a withdrawn member changes its shard and at most the next: its own piece may fall below the minimum, or end no more.
A run that grows beyond the maximum is cut, within its second half, where the hash is smallest; there a withdrawn member
may move further cuts, up to the end of that run and no further.
The idea is content-defined chunking (Muthitacharoen et al., "A Low-bandwidth Network File System", SOSP 2001), whose
usual minimum, counted from the last cut, lets a change run on; joining by a piece's own size does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ShardSizes:
    """Sizes of the members' bytes in one shard. Only the last shard, or the rest of a cut run, is below the minimum."""

    min_bytes: int
    target_bytes: int
    max_bytes: int


def cut_shards(names: Sequence[str], sizes_bytes: Sequence[int], limits: ShardSizes) -> list[range]:
    """Cut N ordered members into consecutive shards, each a range of positions; [] for none."""
    draws = [_draw(name) for name in names]
    mean_piece = limits.target_bytes - limits.min_bytes
    runs, start, piece_bytes = [], 0, 0
    for position, (draw, size) in enumerate(zip(draws, sizes_bytes, strict=True)):
        piece_bytes += size
        if draw * mean_piece < size:
            if piece_bytes >= limits.min_bytes:
                runs.append(range(start, position + 1))
                start = position + 1
            piece_bytes = 0
    if start < len(draws):
        runs.append(range(start, len(draws)))
    return [
        shard for run in runs for shard in _cut_long_run(run, draws, sizes_bytes, limits.max_bytes)
    ]


def _cut_long_run(
    run: range, draws: Sequence[float], sizes_bytes: Sequence[int], max_bytes: int
) -> list[range]:
    """Cut a run so that each part is within the maximum, or is one member. A cut looks at nothing after it."""
    shards, start, filled, best = [], run.start, 0, -1
    position = run.start
    while position < run.stop:
        filled += sizes_bytes[position]
        if filled > max_bytes and position > start:
            end = best if best >= start else position - 1
            shards.append(range(start, end + 1))
            start, filled, best, position = end + 1, 0, -1, end + 1
            continue
        if 2 * filled > max_bytes and (best < start or draws[position] < draws[best]):
            best = position
        position += 1
    return [*shards, range(start, run.stop)]


def _draw(name: str) -> float:
    """A number in [0, 1) that depends on the name only."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") / 2**64


def shard_id(members: Sequence[tuple[str, str]]) -> str:
    """The identity of a shard: 16 hex digits of the digest of its ordered (image_id, sha256) list."""
    text = "".join(f"{image_id}\0{sha256}\n" for image_id, sha256 in members)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
