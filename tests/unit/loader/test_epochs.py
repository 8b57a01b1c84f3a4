"""Both decoders: what an epoch is for each process, from any step on, and with balanced classes."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline_lib.errors import BadData
from pipeline_lib.loader import Batch, BatchLoader, open_loader

from .conftest import EVERYTHING, KINDS, Betons, damage_jpeg, digest, joined, one_epoch


def by_image(loader: BatchLoader, epoch: int, start: int = 0) -> dict[str, bytes]:
    """The pixels of each image's view, by image_id."""
    seen = {}
    for batch in loader.epoch(epoch, start):
        for position, image_HWC in zip(batch.positions_B.tolist(), batch.images_BHWC, strict=True):
            seen[loader.image_ids[position]] = image_HWC.numpy().tobytes()
    return seen


COMPANIES: list[dict[str, Any]] = [
    {"batch_size": 3},
    {"workers": 1},
    {"workers": 4},
    {"prefix": "raw"},
]
COMPANIES += [{"rank": 1, "world": 2}, {"start": 2}, {"shuffle": False}]


@pytest.mark.parametrize("company", COMPANIES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_view_depends_on_seed_epoch_and_image_alone(
    kind: Any, company: dict[str, Any], betons: Betons
) -> None:
    usual = by_image(betons.open(kind=kind), 3)
    options = dict(company)
    start = options.pop("start", 0)

    unusual = by_image(betons.open(kind=kind, **options), 3, start)

    assert len(unusual) >= 20
    assert unusual.items() <= usual.items()


@pytest.mark.parametrize("other", [{"seed": 8}, {"epoch": 4}])
def test_another_seed_or_epoch_gives_each_image_another_view(
    other: dict[str, Any], betons: Betons
) -> None:
    options = {"seed": 7, "epoch": 3} | other
    usual, unusual = (
        by_image(betons.open(seed=chosen["seed"]), chosen["epoch"])
        for chosen in ({"seed": 7, "epoch": 3}, options)
    )

    assert not set(usual.values()) & set(unusual.values())


@pytest.mark.parametrize("sampling", ["as_is", "balanced"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_may_be_resumed_at_any_step(kind: Any, sampling: str, betons: Betons) -> None:
    loader = betons.open(kind=kind, sampling=sampling)
    whole = list(loader.epoch(2))

    for start in range(len(loader) + 1):
        assert [digest(batch) for batch in loader.epoch(2, start)] == [
            digest(batch) for batch in whole[start:]
        ]


@pytest.mark.parametrize("kind", KINDS)
def test_resuming_decodes_nothing_that_came_before(kind: Any, own_betons: Betons) -> None:
    """An image of the first batch is damaged, and nobody notices."""
    damaged = damage_jpeg(own_betons, 5)
    loader = own_betons.open("jpg", kind=kind, batch_size=1, shuffle=False)
    step = list(loader.image_ids).index(damaged) + 1

    assert len(list(loader.epoch(0, step))) == len(loader) - step


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("sampling", ["as_is", "balanced"])
@pytest.mark.parametrize("kind", KINDS)
def test_processes_together_train_on_what_one_would(
    kind: Any, sampling: str, world: int, betons: Betons
) -> None:
    alone = betons.open(kind=kind, sampling=sampling, batch_size=5 * world, drop_last=True)
    ranks = [
        betons.open(
            kind=kind, sampling=sampling, batch_size=5, drop_last=True, rank=rank, world=world
        )
        for rank in range(world)
    ]

    together = list(zip(*(loader.epoch(1) for loader in ranks), strict=True))

    assert [len(loader) for loader in ranks] == [len(alone)] * world
    for whole, parts in zip(alone.epoch(1), together, strict=True):
        for rank, part in enumerate(parts):
            assert digest(part) == digest(every(world, whole, rank))


def every(world: int, batch: Batch, rank: int) -> Batch:
    parts = (batch.images_BHWC, batch.labels_B, batch.weights_B, batch.positions_B)
    return Batch(*(tensor[rank::world].contiguous() for tensor in parts))


@pytest.mark.parametrize(("batch_size", "world"), [(7, 2), (16, 3), (10, 2), (4, 21)])
@pytest.mark.parametrize("kind", KINDS)
def test_processes_together_evaluate_every_image_exactly_once(
    kind: Any, batch_size: int, world: int, betons: Betons
) -> None:
    """20 images; the last of 21 processes has none."""
    options: dict[str, Any] = {
        "kind": kind,
        "augmentation": None,
        "shuffle": False,
        "batch_size": batch_size,
    }
    loaders = [betons.open("raw", **options, rank=rank, world=world) for rank in range(world)]

    batches = [list(loader.epoch(0)) for loader in loaders]

    seen = [
        position for part in batches for batch in part for position in batch.positions_B.tolist()
    ]
    assert sorted(seen) == list(range(20))
    assert [len(part) for part in batches] == [len(loader) for loader in loaders]


def uneven(betons: Betons) -> pd.DataFrame:
    """24 images of one class and 6 of another."""
    selection: pd.DataFrame = betons.selection("small")
    selection["label"] = np.arange(30) % 5 == 0
    return selection


@pytest.mark.parametrize("kind", KINDS)
def test_a_balanced_epoch_repeats_images_of_the_rare_class_and_never_a_view(
    kind: Any, betons: Betons
) -> None:
    loader = open_loader(
        betons.folder, uneven(betons), batch_size=8, side_px=32, augmentation=EVERYTHING, shuffle=True, seed=0,
        drop_last=False, kind=kind, workers=2, sampling="balanced",
    )  # fmt: skip

    epochs = [one_epoch(loader, epoch) for epoch in range(10)]

    assert all(len(epoch.labels_B) == 30 for epoch in epochs)
    assert abs(joined(epochs).labels_B.sum().item() - 150) < 26  # 3 standard errors of 8.7
    views = joined(epochs).images_BHWC.flatten(1)
    assert len(torch.unique(views, dim=0)) == 300
    assert max(len(set(epoch.positions_B.tolist())) for epoch in epochs) < 30


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_visit_of_a_balanced_epoch_is_the_view_of_an_ordinary_one(
    kind: Any, betons: Betons
) -> None:
    ordinary = one_epoch(betons.open("small", kind=kind, shuffle=False), 6).images_BHWC

    balanced = one_epoch(betons.open("small", kind=kind, sampling="balanced"), 6)

    seen: set[int] = set()
    for position, image in zip(balanced.positions_B.tolist(), balanced.images_BHWC, strict=True):
        assert torch.equal(image, ordinary[position]) == (position not in seen)
        seen.add(position)
    assert len(seen) < 30


def test_too_few_images_for_all_processes_are_refused(betons: Betons) -> None:
    found = r"\(found: 30 images, batches of 16 in each of 2 processes\)"
    with pytest.raises(
        BadData, match=rf"too few images for one batch {found}\. Remedy: lower train\.batch_size"
    ):
        betons.open("small", drop_last=True, rank=0, world=2)


def test_a_process_that_is_not_one_of_them_is_a_mistake_of_ours(betons: Betons) -> None:
    with pytest.raises(AssertionError, match=r"\(2, 2\)"):
        betons.open(rank=2, world=2)


def test_drawing_with_replacement_needs_a_keyed_order(betons: Betons) -> None:
    with pytest.raises(AssertionError, match="no order of its own"):
        betons.open(shuffle=False, sampling="balanced")
