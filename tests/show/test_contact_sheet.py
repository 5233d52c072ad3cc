"""The contact sheet shows pictures as they are, each in its class's row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snellen.data.labeled_images import LabeledImages
from snellen.show.contact_sheet import PAPER, contact_sheet


def one_colour_each(images: LabeledImages) -> LabeledImages:
    """Class 0 red, class 1 green, class 2 blue."""
    colours = np.eye(3, dtype=np.uint8)[images.labels] * 255
    return replace(images, images=np.broadcast_to(colours[:, None, None], images.images.shape).copy())


def test_each_class_has_its_row(few_images: LabeledImages) -> None:
    sheet = np.asarray(contact_sheet(one_colour_each(few_images), per_class=4, scale=2))
    for label in range(3):
        mine = (sheet == np.eye(3, dtype=np.uint8)[label] * 255).all(axis=2)
        assert mine.sum() == 4 * 64 * 64
        assert len(np.flatnonzero(mine.any(axis=1))) == 64


def test_pixels_are_enlarged_and_not_smoothed(few_images: LabeledImages) -> None:
    sheet = np.asarray(contact_sheet(few_images, per_class=1, scale=3))
    last = np.repeat(np.repeat(few_images.images[40], 3, axis=0), 3, axis=1)
    margin = 96 // 2
    np.testing.assert_array_equal(sheet[-margin - 96 : -margin, -margin - 96 : -margin], last)


def test_a_small_class_leaves_its_row_empty(few_images: LabeledImages) -> None:
    sheet = np.asarray(contact_sheet(few_images.take(np.array([0, 20, 21]), "all"), per_class=2, scale=1))
    assert (sheet[-16 - 32 : -16, -16 - 32 : -16] == PAPER).all()


def test_grey_pictures_are_shown_grey(few_images: LabeledImages) -> None:
    grey = replace(few_images, images=few_images.images[..., :1].copy())
    sheet = np.asarray(contact_sheet(grey, per_class=1, scale=1))
    np.testing.assert_array_equal(sheet[-48:-16, -48:-16], np.repeat(grey.images[40], 3, axis=2))


def test_any_name_has_its_line_and_a_long_one_does_not_widen_the_sheet(few_images: LabeledImages) -> None:
    plain = contact_sheet(few_images, per_class=2)
    for name in ("一二三", "हिन्दी", "two\nlines", "\x1b[2J", "w" * 500):
        names = (name, *few_images.class_names[1:])
        sheet = contact_sheet(replace(few_images, class_names=names), per_class=2)
        assert sheet.height == plain.height
        assert sheet.width < plain.width + 1_000
