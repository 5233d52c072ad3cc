"""Batches: every image at most once an epoch, another order each epoch, the same one each time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.augment.batched import augment_batch, to_device, to_float
from snellen.augment.draws import draw
from snellen.augment.transforms import Transforms
from snellen.data.labeled_images import LabeledImages
from snellen.recipes.recipe import Augment, Recipe
from snellen.train import batches as batches_file
from snellen.train.batches import Batches

CPU = torch.device("cpu")
JITTER = Augment(crop_pixels=4, flip="random", brightness=0.2, contrast=0.2, saturation=0.2)


def batches(images: LabeledImages, *, size: int = 16, augment: Augment | None = None, seed: int = 0) -> Batches:
    recipe = Recipe(name="r", model="mlp", epochs=1, batch_size=size, augment=augment or Augment())
    return Batches(images, recipe, seed=seed, device=CPU)


@pytest.fixture
def numbered(few_images: LabeledImages) -> LabeledImages:
    """Images whose every pixel is their own number."""
    pixels = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None, None], (60, 32, 32, 3)).copy()
    return replace(few_images, images=pixels)


def order(made: Batches, epoch: int, *, first: int = 0) -> list[list[int]]:
    return [torch.round(batch.images[:, 0, 0, 0] * 255).int().tolist() for batch in made.epoch(epoch, first=first)]


def test_an_epoch_has_whole_batches_and_every_image_at_most_once(numbered: LabeledImages) -> None:
    made = order(batches(numbered), 0)
    assert [len(batch) for batch in made] == [16, 16, 16]
    seen = [number for batch in made for number in batch]
    assert len(set(seen)) == 48
    assert batches(numbered).steps_per_epoch == 3


def test_where_the_batch_divides_the_images_each_is_seen_exactly_once(numbered: LabeledImages) -> None:
    assert sorted(number for batch in order(batches(numbered, size=20), 0) for number in batch) == list(range(60))


def test_those_left_out_are_others_every_epoch_so_that_all_are_seen_in_the_end(numbered: LabeledImages) -> None:
    seen = [{number for batch in order(batches(numbered), epoch) for number in batch} for epoch in range(6)]
    assert len({frozenset(each) for each in seen}) == 6
    assert set.union(*seen) == set(range(60))


def test_the_order_differs_by_epoch_and_seed_and_repeats_for_the_same(numbered: LabeledImages) -> None:
    first = order(batches(numbered), 0)
    assert order(batches(numbered), 0) == first
    assert order(batches(numbered), 1) != first
    assert order(batches(numbered, seed=1), 0) != first
    assert first[0] != sorted(first[0])


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_beginning_in_the_middle_gives_the_rest_of_the_same_epoch(few_images: LabeledImages, first: int) -> None:
    whole = list(batches(few_images, augment=JITTER).epoch(2))
    rest = list(batches(few_images, augment=JITTER).epoch(2, first=first))
    assert len(rest) == 3 - first
    for batch, expected in zip(rest, whole[first:], strict=True):
        assert torch.equal(batch.images, expected.images)
        assert torch.equal(batch.targets, expected.targets)


def test_labels_stay_with_their_images(numbered: LabeledImages) -> None:
    for batch in batches(numbered).epoch(0):
        numbers = torch.round(batch.images[:, 0, 0, 0] * 255).long().numpy()
        np.testing.assert_array_equal(batch.targets.numpy(), numbered.labels[numbers])
        np.testing.assert_array_equal(batch.positions.numpy(), numbers)
        assert batch.sample_weights is None


@settings(deadline=None, max_examples=60)
@given(
    augment=st.builds(
        Augment,
        crop_pixels=st.integers(0, 7),
        flip=st.sampled_from(["none", "random", "alternate"]),
        erase=st.sampled_from([0.0, 0.5]),
    ),
    count=st.integers(1, 70),
    size=st.integers(1, 80),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 300),
)
def test_augmentation_leaves_every_label_with_its_image(
    augment: Augment, count: int, size: int, seed: int, epoch: int
) -> None:
    numbers = np.arange(count)
    pixels = np.broadcast_to(numbers.astype(np.uint8)[:, None, None, None], (count, 8, 8, 1)).copy()
    labels = (numbers * 7) % 5
    images = LabeledImages(pixels, labels.copy(), tuple("abcde"), numbers, "train", "of one colour")
    for batch in batches(images, size=size, augment=augment, seed=seed).epoch(epoch):
        seen = torch.round(batch.images * 255).long().numpy()
        assert (seen == seen[:, :1, :1, :1]).all()  # moved and painted over in its own colour, it stays one colour
        np.testing.assert_array_equal(batch.targets.numpy(), labels[seen[:, 0, 0, 0]])
    np.testing.assert_array_equal(images.labels, labels)


def test_each_image_gets_its_own_draw_of_the_epoch_whatever_batch_it_is_in(few_images: LabeledImages) -> None:
    def changed_by_image(size: int) -> dict[bytes, bytes]:
        plain = batches(few_images, size=size)
        augmented = batches(few_images, size=size, augment=JITTER)
        pairs = zip(plain.epoch(1), augmented.epoch(1), strict=True)
        return {
            image.numpy().tobytes(): changed.numpy().tobytes()
            for before, after in pairs
            for image, changed in zip(before.images, after.images, strict=True)
        }

    assert changed_by_image(10) == changed_by_image(60)


def test_augmentation_is_the_one_of_the_draws(few_images: LabeledImages) -> None:
    (batch,) = batches(few_images, size=60, augment=JITTER, seed=3).epoch(5)
    whole = augment_batch(torch.from_numpy(few_images.images), to_device(draw(JITTER, seed=3, epoch=5, count=60), CPU))
    ours = sorted(image.numpy().tobytes() for image in batch.images)
    assert ours == sorted(image.numpy().tobytes() for image in whole)


def test_without_augmentation_pixels_are_only_divided(few_images: LabeledImages) -> None:
    (batch,) = batches(few_images, size=60).epoch(0)
    images = batch.images
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    expected = to_float(torch.from_numpy(few_images.images))
    assert sorted(image.numpy().tobytes() for image in images) == sorted(i.numpy().tobytes() for i in expected)


def test_images_up_to_a_limit_are_moved_to_the_device_and_more_stay(
    few_images: LabeledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, somewhere = Recipe(name="r", model="mlp", epochs=1, batch_size=16), torch.device("meta")
    for less, place in ((0, "meta"), (1, "cpu")):
        monkeypatch.setattr(batches_file, "_MOST_RESIDENT_BYTES", few_images.images.nbytes - less)
        assert Batches(few_images, recipe, seed=0, device=somewhere)._images.device.type == place


def test_from_the_second_epoch_on_what_is_left_out_is_asked_by_the_step_of_the_training(
    few_images: LabeledImages,
) -> None:
    steps: list[int] = []
    asked: Any = SimpleNamespace(thin=lambda positions, *, step: steps.append(step))
    for epoch in range(3):
        list(batches(few_images).epoch(epoch, first=1, pruning=asked))
    assert steps == [4, 5, 7, 8]  # three steps an epoch, of which the first was made before


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_gets_its_share_of_images_and_weights_and_says_who_it_is(
    few_images: LabeledImages, monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    told: list[dict[str, int]] = []
    augment = Transforms.augment
    monkeypatch.setattr(Transforms, "augment", lambda *given, **how: (told.append(how), augment(*given, **how))[1])
    left = torch.tensor([1, 4, 5, 8, 13]), torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    thins: Any = SimpleNamespace(thin=lambda positions, *, step: left)
    recipe = Recipe(name="r", model="mlp", epochs=1, batch_size=16)
    (whole, *_), (mine, *_) = (
        list(Batches(few_images, recipe, seed=0, device=CPU, share=share).epoch(2, first=1, pruning=thins))
        for share in ((0, 1), (rank, 2))
    )
    assert torch.equal(mine.positions, whole.positions)  # of all shares
    assert whole.sample_weights is not None
    assert mine.sample_weights is not None
    assert mine.sample_weights.tolist() == left[1][rank::2].tolist()
    assert torch.equal(mine.images, whole.images[rank::2])
    assert told[2:] == [{"epoch": 2, "step": step, "worker": rank} for step in (1, 2)]


def test_fewer_images_than_a_batch_make_one_smaller_batch(few_images: LabeledImages) -> None:
    made = batches(few_images, size=512)
    assert (made.batch_size, made.steps_per_epoch) == (60, 1)
    assert [len(batch.targets) for batch in made.epoch(0)] == [60]


def test_mixed_images_come_with_targets_that_sum_to_one_and_name_both_classes(few_images: LabeledImages) -> None:
    (mixed,) = batches(few_images, size=60, augment=Augment(mixup=0.4)).epoch(0)
    (plain,) = batches(few_images, size=60).epoch(0)
    targets, labels = mixed.targets, plain.targets
    assert mixed.images.shape == (60, 3, 32, 32)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(60))
    rows = torch.arange(60)
    named = torch.zeros_like(targets, dtype=torch.bool)
    named[rows, labels] = named[rows, labels.roll(1)] = True
    assert (targets[~named] == 0).all()
    assert (targets[named] > 0).all()
