"""AdamW from a recipe: the arithmetic by hand, what does not decay, and its memory on disk."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save
from tests.train.one_training import batch_of, training_of
from tests.train.test_optimizers import batch, model_of, recipe

from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting, RunError
from snellen.models.catalog import ModelSpec, build
from snellen.recipes.recipe import AdamW, Finetune, Recipe
from snellen.train.checkpoint import load_checkpoint, save_checkpoint
from snellen.train.optimizers import build_optimizers
from snellen.train.setup import prepare
from snellen.train.training import Training

SETTINGS = AdamW(lr=0.01, beta1=0.8, beta2=0.95, weight_decay=0.3)


def test_its_steps_are_those_written_by_hand() -> None:
    rates = [1.0, 0.5, 0.25, 0.7]
    training = training_of(recipe(optimizer=SETTINGS), schedule=rates.__getitem__)
    by_hand = model_of("mlp", (5,))
    images, labels = batch()
    first = {name: np.zeros(tuple(value.shape)) for name, value in by_hand.named_parameters()}
    second = {name: np.zeros(tuple(value.shape)) for name, value in by_hand.named_parameters()}
    for step, rate in enumerate(rates, start=1):
        training.step(batch_of(images, labels))
        by_hand.zero_grad()
        torch.nn.functional.cross_entropy(by_hand(images), labels).backward()
        for name, parameter in by_hand.named_parameters():
            assert parameter.grad is not None
            value, gradient = parameter.detach().double().numpy(), parameter.grad.double().numpy()
            if value.ndim > 1:  # a bias does not decay
                value = value * (1 - 0.01 * rate * 0.3)
            first[name] = 0.8 * first[name] + 0.2 * gradient
            second[name] = 0.95 * second[name] + 0.05 * gradient**2
            mean, square = first[name] / (1 - 0.8**step), second[name] / (1 - 0.95**step)
            parameter.data = torch.from_numpy(value - 0.01 * rate * mean / (np.sqrt(square) + 1e-8)).float()
    for name, value in by_hand.named_parameters():
        torch.testing.assert_close(training.model.get_parameter(name), value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_weights_decay_and_biases_and_norms_do_not(layer_decay: float) -> None:
    model = build(ModelSpec("efficientnet_lite0", (32, 32, 3), 4, (0.5,) * 3, (0.2,) * 3), seed=0)
    chosen = recipe(
        model="efficientnet_lite0", widths=(), optimizer=SETTINGS, finetune=Finetune(layer_decay=layer_decay)
    )
    (optimizer,) = build_optimizers(model, chosen)
    of = {id(value): (name, value) for name, value in model.named_parameters()}
    decays = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name, value = of[id(parameter)]
            decays[name] = group["weight_decay"]
            assert group["weight_decay"] == (0.3 if value.ndim > 1 else 0.0)
            if layer_decay == 1 or name.startswith("net.classifier"):
                assert group["peak_lr"] == 0.01
    assert decays.keys() == dict(model.named_parameters()).keys()
    assert decays["net.stem.1.weight"] == 0.0
    assert decays["net.classifier.weight"] == 0.3


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"lr": 0.0}, "optimizer.lr=0.0 is not possible"),
        ({"beta1": 1.0}, "optimizer.beta1=1.0 is not possible"),
        ({"beta2": -0.1}, "optimizer.beta2=-0.1 is not possible"),
        ({"weight_decay": -1.0}, "optimizer.weight_decay=-1.0 is not possible"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, float], sentence: str) -> None:
    with pytest.raises(InvalidSetting, match=sentence):
        AdamW(**settings)


def new(tiny_recipe: Recipe, dataset: Dataset) -> Training:
    chosen = tiny_recipe.replace(optimizer=AdamW(lr=1e-3, weight_decay=0.05))
    return Training(prepare(chosen, dataset, seed=0, device="cpu", precision="fp32"), steps=16)


def advance(training: Training, steps: int) -> None:
    for one in islice(training.batches(), steps):
        training.step(one)


def test_what_goes_on_from_a_checkpoint_equals_what_never_stopped_to_the_bit(
    tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset
) -> None:
    whole, resumed = new(tiny_recipe, tiny_dataset), new(tiny_recipe, tiny_dataset)
    advance(whole, 4)
    save_checkpoint(whole, tmp_path / "state")
    load_checkpoint(resumed, tmp_path / "state")
    for training in (whole, resumed):
        advance(training, 5)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


@pytest.mark.parametrize(
    "doctored", ["without the mean", "a step of a number", "a step below zero", "no step", "another shape", "no number"]
)
def test_a_doctored_memory_is_refused(
    tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset, doctored: str
) -> None:
    training = new(tiny_recipe, tiny_dataset)
    advance(training, 2)
    save_checkpoint(training, tmp_path / "state")
    with safe_open(tmp_path / "state", framework="pt") as file:
        numbers = json.loads(file.metadata()["state"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    if doctored == "without the mean":
        del tensors["optimizer.0.0.exp_avg"]
    elif doctored == "a step of a number":
        del tensors["optimizer.0.0.step"]
        numbers["optimizer.0.0.step"] = 2
    elif doctored == "a step below zero":
        tensors["optimizer.0.0.step"] = torch.tensor(-1.0)
    elif doctored == "no number":
        tensors["optimizer.0.0.step"] = torch.tensor(float("nan"))
    elif doctored == "no step":
        del tensors["optimizer.0.0.step"]
    else:
        tensors["optimizer.0.0.exp_avg_sq"] = torch.zeros(3)
    (tmp_path / "state").write_bytes(save(tensors, metadata={"state": json.dumps(numbers)}))
    with pytest.raises(RunError, match="does not fit this run"):
        load_checkpoint(new(tiny_recipe, tiny_dataset), tmp_path / "state")
