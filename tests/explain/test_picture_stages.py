"""What is said and shown of augmentation is what was drawn."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.explain.untrained import RECIPE, context_with

from snellen.augment.draws import OneDraw
from snellen.augment.randaugment import OPERATIONS
from snellen.data.labeled_images import LabeledImages
from snellen.explain import picture_stages
from snellen.explain.context import TracedImage
from snellen.recipes.recipe import DataPruning, Finetune

_FACTORS = ("brightness", "contrast", "saturation")


def test_a_picture_may_have_been_left_out_between_two_parts_of_all_steps(few_images: LabeledImages) -> None:
    recipe = RECIPE.replace(min_steps=20, data_pruning=DataPruning(after=0.2, until=0.8))  # two steps an epoch
    context = context_with(recipe, few_images)
    images = [TracedImage(context, context.images.train, 0, epoch) for epoch in range(10)]
    assert [picture_stages._perhaps_left_out(image) != "" for image in images] == [2 <= n < 8 for n in range(10)]


def test_of_versions_that_are_kept_it_is_said_which_is_shown_and_of_own_transforms_that_they_are_not(
    few_images: LabeledImages,
) -> None:
    own = dataclasses.replace(RECIPE.augment, before=("a.py:f",), after=("b.py:g",))
    context = context_with(RECIPE.replace(augment=own, finetune=Finetune(frozen="net.hidden", versions=3)), few_images)
    assert context.images.val is not None
    train, val = (
        picture_stages._augmented(TracedImage(context, images, 5, 4)).says
        for images in (context.images.train, context.images.val)
    )
    assert "3 versions are kept; this is number 1, 0 is plain." in train
    assert "The recipe's own a.py:f, b.py:g are called in training besides, and are not shown here." in train
    never = "A val image is never augmented; this is what it would have met as training image number 5."
    assert val.endswith(f"alone. {never}")


@pytest.mark.parametrize("flip", ["none", "random"])
def test_all_that_was_drawn_is_told_and_nothing_else(flip: Any) -> None:
    image: Any = SimpleNamespace(
        row=7,
        context=SimpleNamespace(
            run=SimpleNamespace(info={"seed": 3}), recipe=SimpleNamespace(augment=SimpleNamespace(flip=flip))
        ),
    )
    always = {"seed": "3", "drawn for image number": "7"} | ({"mirrored": "no"} if flip == "random" else {})
    nothing = OneDraw(pad=0, down=0, right=0, flip=False, **dict.fromkeys(_FACTORS))
    assert picture_stages._drawn(image, nothing) == always
    half, first, third = np.float32(0.5), next(iter(OPERATIONS)), list(OPERATIONS)[2]
    everything = nothing._replace(
        pad=4, down=1, right=7, flip=True, brightness=1.25, saturation=0.5, operations=(((2, 1.0), (0, -1.0)), 9),
        rectangle=(np.float32(0.25), half, half, half), mix=(np.float32(0.7), True, half, half),
        window=(half, half, half, half, 0.875),
    )  # fmt: skip
    told = always | ({"mirrored": "yes"} if flip == "random" else {})
    assert picture_stages._drawn(image, everything) == told | {
        "window": "row 1, column 7 (each 0 to 8; 4 is the middle)",
        "cut out": "50 % of the picture, enlarged to 0.875 of its side",
        "RandAugment at 9 of 30": f"{third} +, {first} -",
        "erased": "a rectangle of about 25 % of the picture",
        "mixed": "in a batch with another image; 70 % is this one. Not shown here",
        "brightness": "x 1.250",
        "saturation": "x 0.500",
    }


@pytest.mark.parametrize(
    ("drawn", "captions"),
    [
        ({}, ["unchanged this time"]),
        ({"pad": 2, "down": 1, "right": 3, "flip": True}, ["padded by 2", "cropped", "mirrored"]),
        ({"operations": (((1, 1.0),), 9)}, ["changed"]),
        ({"rectangle": (np.float32(0.1),) * 4, "flip": True}, ["mirrored", "changed"]),
        ({"contrast": 1.2, "pad": 1, "down": 0, "right": 0}, ["padded by 1", "cropped", "jittered"]),
        ({"window": (*(np.float32(0.5),) * 4, 8.0)}, ["cut out and enlarged"]),
    ],
)
def test_augmentation_is_shown_step_by_step_as_it_was_drawn(drawn: dict[str, Any], captions: list[str]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    draw = OneDraw(**{"pad": 0, "down": 0, "right": 0, "flip": False, **dict.fromkeys(_FACTORS)} | drawn)
    pictures = picture_stages._augmentation_pictures(image, draw, np.zeros((3, 8, 10)))
    assert [each.caption for each in pictures] == captions
    whole = 2 * draw.pad
    assert pictures[0].shape == (8 + whole, 10 + whole, 3)
    if draw.pad:
        frame = np.zeros((8 + whole, 10 + whole), dtype=bool)
        frame[draw.down : draw.down + 8, draw.right : draw.right + 10] = True
        frame[draw.down + 1 : draw.down + 7, draw.right + 1 : draw.right + 9] = False
        assert np.array_equal((pictures[0].pixels == picture_stages._OUTLINE).all(axis=2), frame)
    if draw.flip:
        window = pictures[1].pixels if draw.pad else image
        assert np.array_equal(pictures[captions.index("mirrored")].pixels, window[:, ::-1])
