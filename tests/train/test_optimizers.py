"""Optimizers from a recipe, and one update against arithmetic by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.train.one_training import batch_of, training_of
from torch import nn

from snellen.errors import InvalidSetting
from snellen.models.catalog import ModelSpec, build
from snellen.recipes.catalog import RECIPES
from snellen.recipes.recipe import SGD, Finetune, Muon, Recipe
from snellen.train.optimizers import Muon as MuonOptimizer
from snellen.train.optimizers import build_optimizers
from snellen.train.precision import DeviceAndPrecision
from snellen.train.schedules import set_lr


def model_of(name: str, widths: tuple[int, ...]) -> nn.Module:
    shape = (16, 16, 3)
    return build(
        ModelSpec(name, image_shape=shape, num_classes=4, mean=(0.5,) * 3, std=(0.2,) * 3, options={"widths": widths}),
        seed=0,
    )


def recipe(**changes: Any) -> Recipe:
    return Recipe(**({"name": "r", "model": "mlp", "epochs": 1, "batch_size": 8, "widths": (5,)} | changes))


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(8, 3, 16, 16, generator=generator), torch.arange(8) % 4


def make_steps(chosen: Recipe, rates: list[float]) -> tuple[nn.Module, list[torch.Tensor]]:
    """The model after these steps, which began as `model_of` makes it, and their losses."""
    training = training_of(chosen, schedule=rates.__getitem__)
    losses = [training.step(batch_of(*batch())) for _ in rates]
    return training.model, losses


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_sgd_is_the_one_written_by_hand(nesterov: bool, smoothing: float) -> None:
    settings = SGD(lr=0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.01)
    chosen = recipe(optimizer=settings, label_smoothing=smoothing)
    by_hand = model_of("mlp", (5,))
    images, labels = batch()
    velocity = {name: torch.zeros_like(value) for name, value in by_hand.named_parameters()}
    for rate in (1.0, 0.5, 0.25):
        target = torch.full((8, 4), smoothing / 4)
        target[torch.arange(8), labels] += 1 - smoothing
        loss = -(target * by_hand(images).log_softmax(dim=1)).sum(dim=1).mean()
        by_hand.zero_grad()
        loss.backward()
        with torch.no_grad():
            for name, value in by_hand.named_parameters():
                assert value.grad is not None
                gradient = value.grad + 0.01 * value
                velocity[name] = 0.9 * velocity[name] + gradient
                value -= 0.1 * rate * (gradient + 0.9 * velocity[name] if nesterov else velocity[name])
    model, _ = make_steps(chosen, [1.0, 0.5, 0.25])
    for (name, ours), (_, theirs) in zip(model.named_parameters(), by_hand.named_parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)


def test_the_loss_is_pytorchs_smoothed_cross_entropy_summed_over_the_batch() -> None:
    model = model_of("mlp", (5,))
    images, labels = batch()
    expected = nn.CrossEntropyLoss(label_smoothing=0.1)(model(images), labels) * 8
    _, (loss,) = make_steps(recipe(label_smoothing=0.1), [1.0])
    torch.testing.assert_close(loss, expected.detach())
    assert not loss.requires_grad


def test_the_loss_is_taken_in_fp32_also_where_the_arithmetic_is_bf16() -> None:
    training = training_of(recipe(), compute=DeviceAndPrecision(precision="bf16"))
    images, labels = batch()
    with training.setup.compute.autocast():
        logits = training.model(images)
    assert logits.dtype == torch.bfloat16
    expected = nn.functional.cross_entropy(logits.float(), labels, reduction="sum")
    loss = training.step(batch_of(images, labels))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-6, atol=0)


def test_under_muon_the_head_steps_along_the_gradient_of_the_summed_loss() -> None:
    settings = Muon(head_lr=0.01, momentum=0.5)
    chosen = recipe(model="sprint_net", widths=(24, 24, 24), optimizer=settings)
    training, (images, labels) = training_of(chosen), batch()
    model = training.model
    nn.functional.cross_entropy(model(images), labels, reduction="sum").backward()
    head = model.net.head.weight
    expected = head.detach() - 0.01 * 1.5 * head.grad  # Nesterov's first step: gradient and momentum are the same
    model.zero_grad()
    training.step(batch_of(images, labels))
    torch.testing.assert_close(head.detach(), expected)


def test_with_layer_decay_the_head_has_the_full_rate_and_the_first_layer_the_lowest() -> None:
    chosen = recipe(optimizer=SGD(lr=0.1), finetune=Finetune(layer_decay=0.5))
    model = model_of("small_cnn", (4, 4, 4, 4))
    (optimizer,) = build_optimizers(model, chosen)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(each)]: group["lr"] for group in optimizer.param_groups for each in group["params"]}
    assert rates["net.fc.weight"] == rates["net.fc.bias"] == 0.1
    assert rates["net.conv1.weight"] == min(rates.values()) < 0.01


def test_the_smoothed_loss_of_ten_classes_cannot_fall_below_half_a_nat() -> None:
    logits = torch.full((1, 10), 0.0)
    logits[0, 0] = torch.log(torch.tensor(0.91 / 0.01))  # the best answer: exactly the smoothed target
    loss = nn.functional.cross_entropy(logits, torch.tensor([0]), label_smoothing=0.1)
    assert loss.item() == pytest.approx(0.5003, abs=5e-5)


def test_gradients_are_gone_after_the_step() -> None:
    model, _ = make_steps(recipe(), [1.0])
    assert all(parameter.grad is None for parameter in model.parameters())


def test_every_trained_parameter_is_in_exactly_one_group() -> None:
    for name, widths in (("mlp", (5,)), ("small_cnn", (4, 4, 4, 4)), ("sprint_net", (24, 24, 24))):
        for settings in (SGD(), Muon()):
            if name == "mlp" and isinstance(settings, Muon):
                continue
            model = model_of(name, widths)
            optimizers = build_optimizers(model, recipe(optimizer=settings))
            held = [id(p) for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
            assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_muon_takes_the_filters_and_sgd_the_rest_at_their_own_rates() -> None:
    settings = RECIPES["sprint"].optimizer
    assert isinstance(settings, Muon)
    sgd, muon = build_optimizers(model_of("sprint_net", (24, 24, 24)), recipe(optimizer=settings))
    assert isinstance(muon, MuonOptimizer)
    assert {parameter.ndim for group in muon.param_groups for parameter in group["params"]} == {4}
    biases, heads = sgd.param_groups
    assert ({p.ndim for p in biases["params"]}, {p.ndim for p in heads["params"]}) == ({1}, {2})
    assert (biases["lr"], heads["lr"]) == (settings.bias_lr, settings.head_lr)
    # torch multiplies the decay by the rate: every group loses the same fraction per step.
    for group in (biases, heads):
        assert group["lr"] * group["weight_decay"] == pytest.approx(settings.weight_decay)
        assert group["nesterov"]


def test_muon_without_a_convolution_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="needs a model with convolutions; use sgd"):
        build_optimizers(model_of("mlp", (5,)), recipe(optimizer=Muon()))


def test_the_rate_is_a_fraction_of_each_groups_own_peak() -> None:
    optimizers = build_optimizers(model_of("sprint_net", (24, 24, 24)), recipe(optimizer=Muon()))
    peaks = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    set_lr(optimizers, 0.5)
    set_lr(optimizers, 0.25)
    rates = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    assert rates == pytest.approx([peak / 4 for peak in peaks])
