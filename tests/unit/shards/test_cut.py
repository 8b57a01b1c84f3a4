"""Content-defined cutting: what a change of the source may touch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.shards.cut import ShardSizes, cut_shards, shard_id

LIMITS = ShardSizes(
    min_bytes=500, target_bytes=2000, max_bytes=100_000
)  # no run reaches the maximum
TIGHT = ShardSizes(min_bytes=500, target_bytes=2000, max_bytes=4000)
sizes = st.lists(st.integers(0, 900), min_size=1, max_size=120)


def shards_of(members: list[tuple[str, int]], limits: ShardSizes) -> list[tuple[str, ...]]:
    parts = cut_shards([name for name, _ in members], [size for _, size in members], limits)
    return [tuple(members[at][0] for at in part) for part in parts]


def named(sizes: list[int], prefix: str = "a") -> list[tuple[str, int]]:
    return [(f"{prefix}/{at}.jpg", size) for at, size in enumerate(sizes)]


@given(sizes)
def test_every_member_is_in_exactly_one_shard_and_in_order(sizes: list[int]) -> None:
    members = named(sizes)

    shards = shards_of(members, TIGHT)

    assert [name for shard in shards for name in shard] == [name for name, _ in members]
    assert all(shards)


@given(
    sizes, st.lists(st.integers(0, 900), min_size=1, max_size=30), st.sampled_from([LIMITS, TIGHT])
)
def test_appended_members_change_the_last_shard_only(
    sizes: list[int], more: list[int], limits: ShardSizes
) -> None:
    before = shards_of(named(sizes), limits)

    after = shards_of(named(sizes) + named(more, "b"), limits)

    assert after[: len(before) - 1] == before[:-1]


@given(sizes, st.data())
def test_a_withdrawn_member_changes_its_shard_and_at_most_the_next(
    sizes: list[int], data: st.DataObject
) -> None:
    members = named(sizes)
    gone = data.draw(st.integers(0, len(members) - 1))
    before = shards_of(members, LIMITS)
    home = next(at for at, shard in enumerate(before) if members[gone][0] in shard)

    after = set(shards_of(members[:gone] + members[gone + 1 :], LIMITS))

    changed = {at for at, shard in enumerate(before) if shard not in after}
    assert changed <= {home, home + 1}


@given(sizes)
def test_no_shard_of_several_members_is_over_the_maximum(sizes: list[int]) -> None:
    members = named(sizes)
    size_of = dict(members)

    shards = shards_of(members, TIGHT)

    assert all(
        len(shard) == 1 or sum(size_of[name] for name in shard) <= TIGHT.max_bytes
        for shard in shards
    )


@given(sizes)
def test_only_the_last_shard_is_under_the_minimum(sizes: list[int]) -> None:
    members = named(sizes)
    size_of = dict(members)

    shards = shards_of(members, LIMITS)

    assert all(sum(size_of[name] for name in shard) >= LIMITS.min_bytes for shard in shards[:-1])


def test_shards_are_about_as_large_as_asked_for() -> None:
    """20,000 members of 100 bytes are 2 MB, so 1000 shards of 2000 bytes, more or less."""
    members = named([100] * 20_000)

    n_shards = len(shards_of(members, LIMITS))

    assert 850 <= n_shards <= 1150


def test_a_shard_is_named_by_its_members_and_their_bytes() -> None:
    same = shard_id([("pics/a.jpg", "00"), ("pics/b.jpg", "11")])

    assert same == shard_id([("pics/a.jpg", "00"), ("pics/b.jpg", "11")])
    assert same != shard_id([("pics/b.jpg", "11"), ("pics/a.jpg", "00")])
    assert same != shard_id([("pics/a.jpg", "00"), ("pics/b.jpg", "22")])
    assert len(same) == 16
