"""The last layer that is fitted: against scikit-learn's logistic regression."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.train.thin_network import FINETUNE, Thin, transfer_of
from torch import Tensor, nn

from snellen.augment.batched import to_float
from snellen.data.dataset import Dataset
from snellen.models.external import inputs_of
from snellen.parts import registered
from snellen.recipes.recipe import Recipe
from snellen.train.head import fit_head
from snellen.train.setup import prepare
from snellen.train.training import Training

CLASSES, FEATURES = 3, 6


@pytest.fixture
def features() -> Tensor:
    """(60, 6): of very different scales, with means of their own."""
    drawn = torch.randn(60, FEATURES, generator=torch.Generator().manual_seed(0))
    return drawn * torch.tensor([1.0, 30.0, 0.05, 2.0, 1.0, 5.0]) + torch.tensor([0.0, 100.0, 1.0, -3.0, 0.5, 7.0])


@pytest.fixture
def labels(features: Tensor) -> Tensor:
    """(60,) of three classes, unequal, which the features say something about and not all."""
    noise = torch.randn(60, generator=torch.Generator().manual_seed(1))
    score = (features[:, 0] + features[:, 3] / 2 + noise).argsort().argsort()
    return torch.bucketize(score, torch.tensor([30, 50]), right=True)


def fitted(features: Tensor, labels: Tensor, penalty: float, weights: Tensor | None = None) -> nn.Linear:
    head = nn.Linear(FEATURES, CLASSES)
    fit_head(head, features, labels, penalty, weights)
    return head


def by_scikit_learn(features: Tensor, labels: Tensor, penalty: float, weights: Tensor | None) -> np.ndarray:
    scaled = (features - features.mean(0)) / features.std(0, correction=0).clamp(min=1e-12)
    balance = None if weights is None else {number: float(weight) for number, weight in enumerate(weights)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=1 / penalty, class_weight=balance, tol=1e-8, max_iter=10_000)
        model.fit(scaled.numpy(), labels.numpy())
    probabilities: np.ndarray = model.predict_proba(scaled.numpy())
    return probabilities


@pytest.mark.parametrize("penalty", [0.5, 5.0, 50.0])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 3.0])], ids=["natural", "weighed"])
def test_it_is_scikit_learns_logistic_regression(
    features: Tensor, labels: Tensor, penalty: float, weights: Tensor | None
) -> None:
    head = fitted(features, labels, penalty, weights)
    ours = torch.softmax(head(features), dim=1).detach().numpy()
    np.testing.assert_allclose(ours, by_scikit_learn(features, labels, penalty, weights), atol=2e-3)


def test_it_goes_on_until_nothing_is_better_also_where_features_say_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(200, 3, generator=generator) @ torch.randn(3, 40, generator=generator)
    features = (features + 0.1 * torch.randn(200, 40, generator=generator)) * torch.logspace(-2, 2, 40)
    score = features[:, 0] / features[:, 0].std() + 0.5 * torch.randn(200, generator=generator)
    labels, head = score.argsort().argsort() * 4 // 200, nn.Linear(40, 4)
    fit_head(head, features, labels, 0.1, None)
    mean, spread = features.mean(dim=0), features.std(dim=0, correction=0)
    weight = (head.weight * spread).detach().requires_grad_()
    logits = (features - mean) / spread @ weight.T + (head.bias + head.weight @ mean).detach()
    summed = nn.functional.cross_entropy(logits, labels, reduction="sum") + 0.1 / 2 * weight.square().sum()
    (slope,) = torch.autograd.grad(summed / 200, weight)
    assert slope.abs().max() < 5e-4  # after twenty iterations it is fourteen times that


def test_a_feature_that_never_varies_says_nothing(features: Tensor, labels: Tensor) -> None:
    with_constant = features.clone()
    with_constant[:, 2] = 4.2
    head = fitted(with_constant, labels, 5.0)
    assert torch.isfinite(head.weight).all()
    moved = with_constant.clone()
    moved[:, 2] = 5.0
    # Its mean in float32 is off by a last digit, which is all that is left of it.
    torch.testing.assert_close(head(moved), head(with_constant), rtol=0, atol=0.05)


def test_it_does_not_depend_on_what_the_layer_was(features: Tensor, labels: Tensor) -> None:
    first, second = (fitted(features, labels, 5.0) for _ in range(2))  # nn.Linear is drawn anew
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_what_goes_into_a_layer_is_seen_inside_only() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with inputs_of(net[1]) as found:
        net(torch.ones(3, 2, 2, dtype=torch.float32))
        net(torch.zeros(1, 2, 2))
    net(torch.ones(5, 2, 2))
    assert torch.equal(torch.cat(found), torch.cat([torch.ones(3, 4), torch.zeros(1, 4)]))


@pytest.mark.parametrize("frozen", ["", "net.second"])
def test_a_training_begins_with_it_where_the_recipe_asks(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(registered("model"), "thin", Thin)
    for penalty in (0.0, 5.0):
        finetune = replace(FINETUNE, frozen=frozen, versions=1, head_penalty=penalty)
        recipe = transfer_of(tiny_recipe).replace(finetune=finetune)
        setup = prepare(recipe, tiny_dataset, seed=0, device="cpu", precision="fp32")
        training = Training(setup)
        next(training.batches())
        train, came = setup.splits.train, setup.new_model().eval()
        begun: Any = training.model.net
        with inputs_of(came.net.fc) as features, torch.no_grad():
            came(to_float(torch.from_numpy(train.images)))
        if penalty:
            fit_head(came.net.fc, torch.cat(features), torch.from_numpy(train.labels), penalty, None)
        with torch.no_grad():
            torch.testing.assert_close(begun.fc(features[0]), came.net.fc(features[0]), rtol=1e-3, atol=1e-3)
