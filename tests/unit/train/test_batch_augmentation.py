"""Mixed batches keep the mass of their targets, and a policy varies within a batch."""

import pytest
import torch
from torch.nn import functional as F

from pipeline_lib.train.batch_augmentation import (
    AugmentedBatch,
    BatchAugmentation,
    apply_in_chunks,
    cut_mix,
    load_policy,
    mix_up,
)
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.recipes import RECIPES, Recipe
from pipeline_lib.train.schedule import ema_decay


def _batch(n: int = 4, side_px: int = 8) -> AugmentedBatch:
    """Image i is all of grey 10 * i, of class i, with weight 1 + i."""
    greys_B = 10 * torch.arange(n, dtype=torch.uint8)
    images_BHWC = greys_B[:, None, None, None].expand(n, side_px, side_px, 3).contiguous()
    return AugmentedBatch(images_BHWC, torch.eye(n), 1.0 + torch.arange(n))


def test_mixup_mixes_pixels_and_weighted_targets_with_the_neighbour() -> None:
    """Image 1 (grey 10, weight 2) with a quarter of image 0 (grey 0, weight 1): grey 7.5, mass 1.5 and 0.25."""
    mixed = mix_up(_batch(), share=0.75)

    assert mixed.images_BHWC[1].unique().tolist() == [7.5]  # type: ignore[no-untyped-call]
    torch.testing.assert_close(
        (mixed.weights_B[:, None] * mixed.targets)[1], torch.tensor([0.25, 1.5, 0, 0])
    )


def test_cutmix_shows_the_neighbour_in_a_box_and_weighs_it_by_the_area_that_is_left_at_the_border() -> (
    None
):
    """A box of half the side around the corner keeps a quarter of its area: 2 x 2 of 8 x 8 pixels."""
    mixed = cut_mix(_batch(), share=0.75, centre=(0.0, 0.0))

    assert (mixed.images_BHWC[1, :2, :2] == 0).all() and (mixed.images_BHWC[1, 2:, 2:] == 10).all()
    assert mixed.weights_B[1] * mixed.targets[1, 0] == pytest.approx(4 / 64)


def test_the_loss_of_a_mixed_batch_is_the_mixture_of_the_two_losses() -> None:
    batch, logits_BK, objective = _batch(), torch.randn(4, 4), Objective()

    mixed = mix_up(batch, share=0.7)
    found = (objective.losses(logits_BK, mixed.targets) * mixed.weights_B).mean()

    labels_B = torch.arange(4)
    own = F.cross_entropy(logits_BK, labels_B, reduction="none") * batch.weights_B
    other = F.cross_entropy(logits_BK, labels_B.roll(1), reduction="none") * batch.weights_B.roll(1)
    torch.testing.assert_close(found, (0.7 * own + 0.3 * other).mean())


@pytest.mark.parametrize("alphas", [(0.4, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_a_recipe_mixes_as_torchs_random_state_says(alphas: tuple[float, float]) -> None:
    batch = _batch()
    augment = BatchAugmentation(_recipe(mixup_alpha=alphas[0], cutmix_alpha=alphas[1]), n_classes=4)

    torch.manual_seed(3)
    first = augment(batch.images_BHWC, torch.arange(4), batch.weights_B)
    torch.manual_seed(3)
    second = augment(batch.images_BHWC, torch.arange(4), batch.weights_B)

    assert torch.equal(first.images_BHWC, second.images_BHWC) and torch.equal(
        first.targets, second.targets
    )
    assert not torch.equal(first.targets, torch.eye(4))
    torch.testing.assert_close(
        (first.weights_B[:, None] * first.targets).sum(), batch.weights_B.sum()
    )


@pytest.mark.parametrize("name", ["trivial", "rand"])
def test_a_policy_draws_for_each_sixteenth_of_the_batch(name: str) -> None:
    torch.manual_seed(0)
    image_HWC = torch.randint(0, 256, (16, 16, 3), dtype=torch.uint8)

    shown_BHWC = apply_in_chunks(load_policy(name), image_HWC.expand(32, 16, 16, 3))  # type: ignore[arg-type]

    assert shown_BHWC.dtype == torch.uint8 and shown_BHWC.shape == (32, 16, 16, 3)
    assert torch.equal(shown_BHWC[0], shown_BHWC[1])  # one sixteenth of 32
    assert len(shown_BHWC.flatten(1).unique(dim=0)) >= 8  # type: ignore[no-untyped-call]


def test_without_mixing_a_batch_is_handed_on_as_it_is() -> None:
    batch, labels_B = _batch(), torch.arange(4)

    shown = BatchAugmentation(RECIPES["quick"], n_classes=4)(
        batch.images_BHWC, labels_B, batch.weights_B
    )

    assert shown.images_BHWC is batch.images_BHWC and shown.targets is labels_B


def test_half_of_an_average_is_forgotten_in_its_half_life() -> None:
    assert ema_decay(2.0, 25) ** 50 == pytest.approx(0.5)


def _recipe(**changes: object) -> Recipe:
    return RECIPES["quick"].changed(**changes)


def test_cutmix_leaves_float_images_that_it_was_given_as_they_are() -> None:
    images_BHWC = torch.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3).float()
    before = images_BHWC.clone()

    cut_mix(AugmentedBatch(images_BHWC, torch.eye(2), torch.ones(2)), share=0.5, centre=(0.5, 0.5))

    assert torch.equal(images_BHWC, before)
