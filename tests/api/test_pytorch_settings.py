"""Whatever a program has made of PyTorch's settings, a training and an answer are the same, and so are the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import snellen
from snellen.data.dataset import Dataset
from snellen.models.weights import weights_hash
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run


@contextmanager
def _dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def _products() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(
    "settings",
    [
        _dtype, _products, torch.inference_mode, torch.no_grad, lambda: torch.device("meta"),
        lambda: torch.autocast("cpu", torch.bfloat16), lambda: torch.random.fork_rng(devices=[]),
    ],
    ids=["float64", "products", "inference", "no gradients", "device", "autocast", "random"],
)  # fmt: skip
def test_what_a_program_set_in_pytorch_changes_nothing_and_is_as_it_was_afterwards(
    finished_run: Run, tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, settings: Any
) -> None:
    images = tiny_dataset.train.images[:20]
    expected = snellen.open_run(finished_run.folder).predict(images, device="cpu").probabilities
    with settings():
        before = _pytorch()
        torch.manual_seed(7)
        run = snellen.fit(tiny_recipe, tiny_dataset, device="cpu", precision="fp32", runs=tmp_path, quiet=True)
        found = run.predict(images, device="cpu").probabilities
        assert {value.dtype for value in run.model("cpu").parameters()} == {torch.float32}
        learner = snellen.SnellenClassifier(tiny_recipe.replace(epochs=1), device="cpu")
        learned = learner.fit(images, tiny_dataset.train.labels[:20]).predict_proba(images)
        assert _pytorch() == before
    assert weights_hash(Run(run.folder)) == weights_hash(finished_run)
    np.testing.assert_array_equal(found, expected)
    again = snellen.SnellenClassifier(tiny_recipe.replace(epochs=1), device="cpu")
    np.testing.assert_array_equal(again.fit(images, tiny_dataset.train.labels[:20]).predict_proba(images), learned)


def _pytorch() -> tuple[Any, ...]:
    return (
        torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"), torch.get_float32_matmul_precision(),
    )  # fmt: skip
