"""The batched augmentation is the reference, faster."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.augment.batched import augment_batch, resize_side, to_device, to_float
from snellen.augment.draws import draw
from snellen.augment.reference import augment_one, crop, shrink
from snellen.errors import InvalidSetting
from snellen.recipes.recipe import Augment

STRENGTHS = st.sampled_from([0.0, 0.14, 0.9])
AUGMENTS = st.builds(
    Augment,
    crop_pixels=st.integers(0, 6),
    flip=st.sampled_from(["none", "random", "alternate"]),
    brightness=STRENGTHS,
    contrast=STRENGTHS,
    saturation=STRENGTHS,
)
CROP_AND_FLIP = Augment(crop_pixels=4, flip="random")


def some_images(count=24, height=8, width=8, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def augmented(images, draws):
    """(N, H, W, C) float32, so that it can be laid beside the reference."""
    batch = augment_batch(torch.from_numpy(images), to_device(draws, "cpu"))
    return batch.permute(0, 2, 3, 1).numpy()


def as_bytes(values):
    return np.rint(values * 255).astype(np.uint8)


@settings(deadline=None, max_examples=80)
@given(
    augment=AUGMENTS,
    shape=st.tuples(st.integers(0, 5), st.integers(7, 11), st.integers(7, 11), st.sampled_from([1, 3])),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 200),
)
def test_every_recipe_gives_what_the_reference_gives_one_image_at_a_time(augment, shape, seed, epoch):
    images = some_images(shape[0] + 1, *shape[1:], seed=epoch)
    draws = draw(augment, seed=seed, epoch=epoch, count=len(images))
    one_by_one = np.stack([augment_one(image, draws[i]) for i, image in enumerate(images)])
    only_moved = (augment.brightness, augment.contrast, augment.saturation) == (0, 0, 0)
    tolerance = {"rtol": 0, "atol": 0} if only_moved else {"rtol": 0, "atol": 1e-6}
    np.testing.assert_allclose(augmented(images, draws), one_by_one, **tolerance)


@settings(deadline=None, max_examples=60)
@given(
    pad=st.integers(0, 6),
    flip=st.sampled_from(["none", "random", "alternate"]),
    shape=st.tuples(st.integers(7, 11), st.integers(7, 11), st.sampled_from([1, 3])),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 200),
)
def test_every_output_is_a_window_of_the_padded_input_or_of_its_mirror_image(pad, flip, shape, seed, epoch):
    images = some_images(6, *shape, seed=epoch)
    results = as_bytes(augmented(images, draw(Augment(crop_pixels=pad, flip=flip), seed=seed, epoch=epoch, count=6)))
    for image, result in zip(images, results, strict=True):
        padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, shape).reshape(-1, *shape)
        mirrored = flip != "none" and (windows == result[:, ::-1]).all(axis=(1, 2, 3)).any()
        assert mirrored or (windows == result).all(axis=(1, 2, 3)).any()


def test_the_crop_of_every_image_differs_between_most_epochs_and_repeats_for_the_same_one():
    images = some_images(200)
    first, second, again = (
        augmented(images, draw(CROP_AND_FLIP, seed=3, epoch=epoch, count=200)) for epoch in (0, 1, 0)
    )
    np.testing.assert_array_equal(first, again)
    changed = (first != second).any(axis=(1, 2, 3))
    assert changed.mean() > 0.95  # 161 of 162 views are another one


def test_alternate_flip_without_crop_shows_the_two_sides_in_two_epochs():
    images, augment = some_images(), Augment(flip="alternate")
    first, second = (augmented(images, draw(augment, seed=1, epoch=epoch, count=24)) for epoch in (0, 1))
    np.testing.assert_array_equal(first, second[:, :, ::-1])
    assert (first != second).any(axis=(1, 2, 3)).all()


def test_an_image_gets_the_same_pixels_in_whatever_batch_it_comes():
    images, augment = some_images(), Augment(crop_pixels=2, flip="random", brightness=0.2, contrast=0.2)
    draws, order = draw(augment, seed=1, epoch=0, count=24), np.random.default_rng(0).permutation(24)
    whole = augmented(images, draws)
    in_pieces = [augmented(images[part], draws.at(part)) for part in np.split(order, 4)]
    np.testing.assert_array_equal(np.concatenate(in_pieces), whole[order])


def test_rows_taken_on_the_device_are_the_rows_taken_before():
    augment = Augment(crop_pixels=2, flip="random", brightness=0.2, saturation=0.2)
    draws, rows = draw(augment, seed=1, epoch=0, count=24), np.array([5, 0, 23])
    images = torch.from_numpy(some_images()[rows])
    before = augment_batch(images, to_device(draws.at(rows), "cpu"))
    after = augment_batch(images, to_device(draws, "cpu").at(torch.from_numpy(rows)))
    assert torch.equal(before, after)


def test_the_input_images_are_not_touched():
    images = some_images()
    before = images.copy()
    augmented(images, draw(Augment(crop_pixels=2, flip="random", brightness=0.5), seed=1, epoch=0, count=24))
    np.testing.assert_array_equal(images, before)


def test_batches_lie_channels_last_as_float32_between_0_and_1():
    augment = Augment(crop_pixels=2, brightness=0.9, contrast=0.9, saturation=0.9)
    images = torch.from_numpy(some_images())
    for batch in (augment_batch(images, to_device(draw(augment, seed=1, epoch=0, count=24), "cpu")), to_float(images)):
        assert batch.shape == (24, 3, 8, 8)
        assert batch.dtype == torch.float32
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert batch.min() >= 0
        assert batch.max() <= 1


@pytest.mark.parametrize("shape", [(5, 9), (9, 5)])
def test_padding_is_smaller_than_the_shorter_side(shape):
    images = torch.zeros(2, *shape, 3, dtype=torch.uint8)
    widest = to_device(draw(Augment(crop_pixels=4), seed=0, epoch=0, count=2), "cpu")
    assert augment_batch(images, widest).shape == (2, 3, *shape)
    with pytest.raises(InvalidSetting, match="a reflection has at most 4 pixels"):
        augment_batch(images, to_device(draw(Augment(crop_pixels=5), seed=0, epoch=0, count=2), "cpu"))


def test_padding_as_large_as_the_image_is_refused_with_both_sizes():
    images = torch.from_numpy(some_images())
    with pytest.raises(InvalidSetting, match=r"crop_pixels=8 .* 8x8"):
        augment_batch(images, to_device(draw(Augment(crop_pixels=8), seed=0, epoch=0, count=24), "cpu"))


def test_evaluation_takes_images_and_nothing_that_could_be_random():
    assert list(inspect.signature(to_float).parameters) == ["images"]


def test_evaluation_repeats_itself_and_leaves_the_global_generator_alone():
    images, state = torch.from_numpy(some_images()), torch.random.get_rng_state()
    assert torch.equal(to_float(images), to_float(images))
    assert torch.equal(state, torch.random.get_rng_state())


def test_evaluation_is_training_with_nothing_switched_on():
    images = torch.from_numpy(some_images())
    nothing = to_device(draw(Augment(), seed=0, epoch=0, count=24), "cpu")
    assert torch.equal(to_float(images), augment_batch(images, nothing))


def test_a_grey_byte_becomes_its_255th_part():
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 3, 1)
    assert to_float(image).flatten().tolist() == [0, pytest.approx(0.2), 1]


def test_shrinking_keeps_the_mean_and_the_aspect():
    batch = to_float(torch.from_numpy(some_images(height=32, width=48)))
    small = resize_side(batch, 24)
    assert small.shape == (24, 3, 24, 36)
    assert torch.allclose(small.mean(dim=(2, 3)), batch.mean(dim=(2, 3)), atol=0.02)


@pytest.mark.parametrize(("height", "width", "side"), [(32, 32, 24), (32, 32, 28), (17, 40, 16), (64, 48, 9)])
def test_shrinking_is_the_weighted_mean_that_the_reference_takes(height, width, side):
    batch = to_float(torch.from_numpy(some_images(count=2, height=height, width=width)))
    small = resize_side(batch, side).permute(0, 2, 3, 1).numpy()
    by_hand = [shrink(image, *small.shape[1:3]) for image in batch.permute(0, 2, 3, 1).numpy()]
    np.testing.assert_allclose(small, np.stack(by_hand), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width", "side"), [(32, 32, 28), (17, 40, 16), (64, 48, 9)])
def test_cropping_takes_the_middle_of_the_same_size_as_shrinking(height, width, side):
    batch = to_float(torch.from_numpy(some_images(count=2, height=height, width=width)))
    middle = resize_side(batch, side, "crop")
    assert middle.shape == resize_side(batch, side).shape
    assert middle.is_contiguous(memory_format=torch.channels_last)
    down, across = middle.shape[2:]
    cut = [
        crop(image, (height - down) // 2, (width - across) // 2, down, across) for image in batch.permute(0, 2, 3, 1)
    ]
    assert torch.equal(middle.permute(0, 2, 3, 1), torch.stack(cut))


def test_the_middle_of_a_picture_that_was_shifted_no_further_than_the_cut_shows_no_border():
    images = torch.from_numpy(some_images(count=1, height=32, width=32))
    shifted = augment_batch(
        images.repeat(24, 1, 1, 1), to_device(draw(Augment(crop_pixels=2), seed=0, epoch=0, count=24), "cpu")
    )
    windows = to_float(images).unfold(2, 28, 1).unfold(3, 28, 1)[0].permute(1, 2, 0, 3, 4).flatten(0, 1)  # 5 x 5
    seen = {
        next(at for at, each in enumerate(windows) if torch.equal(each, one))
        for one in resize_side(shifted, 28, "crop")
    }
    assert len(seen) > 10


def test_shrinking_by_half_averages_stripes_instead_of_picking_them():
    stripes = torch.zeros(1, 1, 16, 16)
    stripes[..., ::2] = 1
    assert (resize_side(stripes, 8)[..., 1:-1] - 0.5).abs().max() < 0.01


def test_shrinking_to_the_present_side_does_nothing_and_enlarging_is_refused():
    batch = to_float(torch.from_numpy(some_images()))
    assert resize_side(batch, 8) is batch
    with pytest.raises(AssertionError, match="only shrunk"):
        resize_side(batch, 9)


@pytest.mark.gpu
def test_the_gpu_gives_the_cpus_pixels():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    images = torch.from_numpy(some_images())
    augment = Augment(crop_pixels=4, flip="random", brightness=0.2, contrast=0.2, saturation=0.2)
    draws = draw(augment, seed=1, epoch=0, count=24)
    there = augment_batch(images.cuda(), to_device(draws, "cuda")).cpu()
    torch.testing.assert_close(there, augment_batch(images, to_device(draws, "cpu")), rtol=0, atol=1e-6)
