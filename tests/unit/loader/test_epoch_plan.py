"""The batches of every process, for any number of images, batch size and processes: no pixels needed."""

from itertools import chain

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.epoch_plan import Plan, Sampling
from pipeline_lib.loader.find_images import Images


def plans(
    n: int,
    *,
    batch_size: int,
    world: int,
    drop_last: bool,
    sampling: Sampling = "as_is",
    shuffle: bool = True,
) -> list[Plan]:
    """One per process, over n images of three classes."""
    image_ids, rows = tuple(f"image {number}" for number in range(n)), np.arange(n)
    images = Images(
        image_ids, torch.from_numpy(rows % 3), torch.ones(n), (), np.zeros(n, int), rows, rows
    )
    return [
        Plan(images, batch_size, 32, None, shuffle, 5, drop_last, sampling, rank, world)
        for rank in range(world)
    ]


def visits(plan: Plan, epoch: int, start: int = 0) -> list[list[int]]:
    return [batch.tolist() for batch in plan.batches(epoch, start)]


numbers = st.integers(1, 60)
few = st.integers(1, 7)
samplings = st.sampled_from(["as_is", "balanced"])


@given(numbers, few, few, samplings, few)
def test_training_batches_of_all_processes_are_those_of_one(
    n: int, batch_size: int, world: int, sampling: Sampling, epoch: int
) -> None:
    (alone,) = plans(n, batch_size=batch_size * world, world=1, drop_last=True, sampling=sampling)
    ranks = plans(n, batch_size=batch_size, world=world, drop_last=True, sampling=sampling)

    together = zip(*(visits(plan, epoch) for plan in ranks), strict=True)

    assert {len(plan) for plan in ranks} == {n // (batch_size * world)}
    assert [sorted(chain(*parts)) for parts in together] == [
        sorted(batch) for batch in visits(alone, epoch)
    ]


@given(numbers, few, few, st.booleans())
def test_evaluation_shows_every_image_exactly_once_over_all_processes(
    n: int, batch_size: int, world: int, shuffle: bool
) -> None:
    ranks = plans(n, batch_size=batch_size, world=world, drop_last=False, shuffle=shuffle)

    shown = [visits(plan, 0) for plan in ranks]

    assert sorted(chain(*chain(*shown))) == list(range(n))
    assert [len(batches) for batches in shown] == [len(plan) for plan in ranks]
    assert max(map(len, shown)) - min(map(len, shown)) <= 1
    assert all(0 < len(batch) <= batch_size for batches in shown for batch in batches)


@given(numbers, few, few, st.booleans(), samplings, st.data())
def test_an_epoch_resumed_is_the_rest_of_the_whole(
    n: int, batch_size: int, world: int, drop_last: bool, sampling: Sampling, data: st.DataObject
) -> None:
    plan = plans(n, batch_size=batch_size, world=world, drop_last=drop_last, sampling=sampling)[
        world - 1
    ]
    start = data.draw(st.integers(0, len(plan)))

    assert visits(plan, 3, start) == visits(plan, 3)[start:]
    assert plan.order(3, start).tolist() == list(chain(*visits(plan, 3)[start:]))


def test_no_visit_comes_twice_though_its_image_may() -> None:
    (plan,) = plans(50, batch_size=8, world=1, drop_last=False, sampling="balanced")

    order: Array = plan.order(0)

    assert len(set(order.tolist())) == 50
    assert len(set(plan.positions(order).tolist())) < 50
    assert plan.positions(order).max() < 50
