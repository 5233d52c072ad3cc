"""What is done again of a network, and what is said of its answer."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from tests.explain.untrained import RECIPE, context_with
from torch import nn

from snellen.data.labeled_images import LabeledImages
from snellen.explain import by_hand, network_stages
from snellen.explain.context import find
from snellen.predict.predictions import Predictions


def test_an_answer_is_called_right_or_wrong_and_as_many_are_listed_as_there_are() -> None:
    logits = np.array([[0.0, 3.0, 1.0], [0.0, 1.0, 3.0]], dtype=np.float32)
    for row, verdict in enumerate(("right", "wrong")):
        answer = Predictions(logits[[row]], np.array([1]), np.array([7]), ("ant", "bee", "cat"), "val")
        top = network_stages._top(answer)
        assert (top.title, top.values.tolist()) == ("Top 3", sorted(answer.probabilities[0], reverse=True))
        assert f"the label says bee: {verdict}." in top.says


def test_a_patch_is_what_the_filters_lie_on_also_where_nothing_about_them_is_square() -> None:
    layer = nn.Conv2d(2, 3, (3, 5), stride=(2, 3), padding=(1, 2)).double()
    given = torch.rand(1, 2, 11, 13, dtype=torch.double)
    made, weight, bias = (each.detach().numpy() for each in (layer(given)[0], layer.weight, layer.bias))
    for row, column in np.ndindex(made.shape[1:]):
        patch = network_stages._patch(layer, given[0].numpy(), row, column)
        np.testing.assert_allclose(by_hand.convolve_at(patch, weight, bias), made[:, row, column])


def test_the_loss_says_where_it_is_not_the_one_of_the_training(few_images: LabeledImages) -> None:
    image = find(context_with(RECIPE.replace(label_smoothing=0.1), few_images), image=None, split="train", epoch=0)
    answer = Predictions.of(image.alone, np.zeros((1, 3), dtype=np.float32))
    own_loss = SimpleNamespace(loss="mine.py:hinge", class_weights="none", label_smoothing=0.0)
    context: Any = SimpleNamespace(recipe=own_loss, images=image.context.images)
    plain = network_stages._loss(image, answer)
    own = network_stages._loss(dataclasses.replace(image, context=context), answer)
    assert ", by the function that training calls" in plain.says
    assert "by the function" not in own.says
    assert "loss of the training" not in plain.facts
    assert own.facts["loss of the training"] == "mine.py:hinge, which is not shown here"
    assert plain.facts["label smoothing"] == "0.1"
