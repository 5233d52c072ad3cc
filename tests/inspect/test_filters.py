"""The first layer as pictures."""

from __future__ import annotations

import numpy as np
import torch

from snellen.inspect.filters import first_filters
from snellen.models.catalog import ModelSpec, build
from snellen.models.normalized import Classifier


def made(name: str, *widths: int) -> Classifier:
    return build(ModelSpec(name, (32, 32, 3), 3, (0.5,) * 3, (0.25,) * 3, {"widths": widths}), seed=0)


def test_zero_is_mid_grey_and_the_largest_weight_is_white() -> None:
    model = made("small_cnn", 4, 4, 6, 6)
    with torch.no_grad():
        model.net.conv1.weight.zero_()  # type: ignore[union-attr, operator]
        model.net.conv1.weight[0, 0, 1, 1] = 0.02  # type: ignore[index, union-attr]
    pictures = first_filters(model, (32, 32, 3))
    assert pictures.shape == (4, 3, 3, 3)
    assert pictures[0, 1, 1].tolist() == [255, 128, 128]
    assert set(np.unique(pictures[1])) == {128}


def test_units_of_an_mlp_are_pictures_of_whole_images_the_strongest_first() -> None:
    model = made("mlp", 6)
    with torch.no_grad():
        model.net.hidden.weight[4] *= 10  # type: ignore[union-attr, operator, index]
    weights = model.net.hidden.weight.detach()[4].reshape(3, 32, 32).permute(1, 2, 0).numpy()  # type: ignore[union-attr, operator, index]
    pictures = first_filters(model, (32, 32, 3), limit=2)
    assert pictures.shape == (2, 32, 32, 3)
    assert np.corrcoef(pictures[0].ravel(), weights.ravel())[0, 1] > 0.999
