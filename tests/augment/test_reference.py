"""The reference augmentation, checked by hand and against other people's code."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from snellen.augment.draws import OneDraw
from snellen.augment.reference import augment_one, crop, jitter, mirror, reflect_pad

UNTOUCHED = OneDraw(pad=0, down=0, right=0, flip=False, brightness=None, contrast=None, saturation=None)


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)


def test_padding_mirrors_outwards_without_repeating_the_border():
    row = np.array([10, 20, 30, 40], dtype=np.uint8).reshape(1, 4, 1).repeat(4, axis=0)
    assert reflect_pad(row, 2)[3, :, 0].tolist() == [30, 20, 10, 20, 30, 40, 30, 20]


def test_the_middle_window_is_the_image_itself(image):
    np.testing.assert_array_equal(crop(reflect_pad(image, 3), 3, 3, 5, 6), image)


def test_a_window_one_row_further_down_shows_the_image_one_row_higher(image):
    moved = crop(reflect_pad(image, 3), 4, 3, 5, 6)
    np.testing.assert_array_equal(moved[:4], image[1:])


def test_mirroring_exchanges_left_and_right_only_and_twice_is_nothing(image):
    np.testing.assert_array_equal(mirror(image)[:, 0], image[:, -1])
    np.testing.assert_array_equal(mirror(mirror(image)), image)


def test_an_image_without_draws_is_only_divided_by_255(image):
    result = augment_one(image, UNTOUCHED)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, image / np.float32(255))


def test_brightness_scales_and_clips():
    image = np.full((2, 2, 3), 0.6, dtype=np.float32)
    np.testing.assert_allclose(jitter(image, brightness=0.5), 0.3, rtol=1e-6)
    assert (jitter(image, brightness=1.9) == 1).all()


def test_contrast_pulls_towards_the_mean_grey_of_the_image():
    image = np.array([0.2, 0.6], dtype=np.float32).reshape(1, 2, 1)
    np.testing.assert_allclose(jitter(image, contrast=0.5).ravel(), [0.3, 0.5], rtol=1e-6)


def test_saturation_pulls_each_pixel_towards_its_own_grey():
    red = np.array([1, 0, 0], dtype=np.float32).reshape(1, 1, 3)
    np.testing.assert_allclose(jitter(red, saturation=0.5).ravel(), [0.6495, 0.1495, 0.1495], rtol=1e-6)


def test_saturation_of_a_grey_image_changes_nothing(rng):
    grey = rng.random((4, 4, 1), dtype=np.float32)
    np.testing.assert_array_equal(jitter(grey, saturation=0.1), grey)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.4])
@pytest.mark.parametrize(
    ("kind", "enhance"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
def test_each_step_agrees_with_pillow_up_to_its_rounding_to_bytes(image, kind, enhance, factor):
    ours = jitter(image.astype(np.float32) / 255, **{kind: factor})
    pillow = np.asarray(enhance(Image.fromarray(image)).enhance(factor), dtype=np.float32) / 255
    np.testing.assert_allclose(ours, pillow, atol=2 / 255)  # Pillow rounds the grey, then truncates the result


def test_steps_are_taken_in_the_order_brightness_contrast_saturation(image):
    values = image.astype(np.float32) / 255
    by_hand = jitter(jitter(jitter(values, brightness=1.3), contrast=0.7), saturation=1.4)
    np.testing.assert_array_equal(jitter(values, brightness=1.3, contrast=0.7, saturation=1.4), by_hand)
