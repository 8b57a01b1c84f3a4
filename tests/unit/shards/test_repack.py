"""What stays packed as it is when images come and go, and that small shards do not pile up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.shards.cut import ShardSizes, cut_shards
from pipeline_lib.shards.repack import FAN_IN, pack_again

LIMITS = ShardSizes(min_bytes=500, target_bytes=2000, max_bytes=4000)
Files = dict[str, int]
Packing = list[tuple[str, ...]]
files = st.dictionaries(st.integers(0, 9999).map(str), st.integers(0, 900), max_size=150)


def packed(files: Files, before: Packing, limits: ShardSizes = LIMITS) -> Packing:
    names = sorted(files)
    shards = pack_again(names, [files[name] for name in names], before, limits)
    return [tuple(names[at] for at in shard) for shard in shards]


@given(files)
def test_without_an_earlier_run_shards_are_cut_by_name(files: Files) -> None:
    names = sorted(files)
    parts = cut_shards(names, [files[name] for name in names], LIMITS)

    assert packed(files, []) == [tuple(names[at] for at in part) for part in parts]


@given(files, files, st.data())
def test_every_member_is_in_one_shard_and_the_shards_of_an_unchanged_source_stay(
    old: Files, new: Files, data: st.DataObject
) -> None:
    before = packed(old, [])
    gone = data.draw(st.sets(st.sampled_from(sorted(old)))) if old else set()
    now = {name: size for name, size in (old | new).items() if name not in gone}

    after = packed(now, before)

    assert sorted(name for shard in after for name in shard) == sorted(now)
    assert sorted(packed(now, after)) == sorted(after)


@given(files, files)
def test_new_members_leave_every_shard_of_a_first_run_as_it_is(old: Files, new: Files) -> None:
    before = packed(old, [])
    if sum(old[name] for name in old) < FAN_IN * LIMITS.min_bytes:
        return  # a few small shards

    after = packed(new | old, before)

    small = [shard for shard in before if sum(old[name] for name in shard) < LIMITS.min_bytes]
    assert set(before) - set(after) <= set(small)


@given(files, st.data())
def test_a_withdrawn_member_changes_its_shard_only(files: Files, data: st.DataObject) -> None:
    before = packed(files, [])
    if not files:
        return
    gone = data.draw(st.sampled_from(sorted(files)))

    after = packed({name: files[name] for name in files if name != gone}, before)

    [home] = [shard for shard in before if gone in shard]
    small = {shard for shard in before if sum(files[name] for name in shard) < LIMITS.min_bytes}
    assert set(before) - set(after) <= {home} | small


def test_a_year_of_nights_leaves_few_small_shards_and_writes_each_image_a_few_times() -> None:
    """2,000 images of 100 kB, and two more each night; shards of 10 MB, at least 2.5 MB."""
    limits = ShardSizes(2_500_000, 10_000_000, 20_000_000)
    files = {f"{n:05d}": 100_000 for n in range(2000)}
    shards, most_small, written = packed(files, [], limits), 0, 0
    for night in range(365):
        more = {f"{(7919 * night) % 2000:05d}-{night}-{n}": 100_000 for n in range(2)}
        files |= more
        after = packed(files, shards, limits)
        written += sum(100_000 * len(shard) for shard in set(after) - set(shards))
        shards = after
        small = [shard for shard in shards if 100_000 * len(shard) < limits.min_bytes]
        most_small = max(most_small, len(small))

    assert most_small <= 2 * FAN_IN  # two size classes lie between a night and the minimum
    assert written <= 3 * 365 * 2 * 100_000
    assert len(shards) <= 45
