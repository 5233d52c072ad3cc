"""The first noun: what it says of its own classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snellen.data.labeled_images import LabeledImages


def test_balanced_weights_give_each_class_the_same_say(few_images: LabeledImages) -> None:
    uneven = replace(few_images, labels=np.repeat([0, 1], (15, 45)))  # none of the third class
    np.testing.assert_allclose(uneven.balanced_weights * uneven.counts, [60 / 3, 60 / 3, 0])
