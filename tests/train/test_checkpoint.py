"""A checkpoint holds everything, gives it back to the bit, and fits one model only."""

from __future__ import annotations

import json
import signal
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, save

from snellen.data.dataset import Dataset
from snellen.errors import RunError
from snellen.recipes.recipe import Average, DataPruning, Muon, Recipe
from snellen.train.checkpoint import load_checkpoint, save_checkpoint
from snellen.train.interrupt import Interrupted, StopRequest
from snellen.train.setup import prepare
from snellen.train.training import Training

MUON = {"model": "sprint_net", "widths": (24, 24, 24), "optimizer": Muon(), "average": Average(after=0.1)}


@pytest.fixture(params=["sgd", "muon"])
def recipe(request: pytest.FixtureRequest, tiny_recipe: Recipe) -> Recipe:
    return tiny_recipe if request.param == "sgd" else tiny_recipe.replace(**MUON)


def new(recipe: Recipe, dataset: Dataset) -> Training:
    return Training(prepare(recipe, dataset, seed=0, device="cpu", precision="fp32"), steps=16)


def advance(training: Training, steps: int) -> None:
    for batch in islice(training.batches(), steps):
        training.step(batch)


def test_what_goes_on_from_a_checkpoint_equals_what_never_stopped_to_the_bit(
    tmp_path: Path, recipe: Recipe, tiny_dataset: Dataset
) -> None:
    whole = new(recipe, tiny_dataset)
    advance(whole, 4)
    save_checkpoint(whole, tmp_path / "state.safetensors")
    resumed = new(recipe, tiny_dataset)
    load_checkpoint(resumed, tmp_path / "state.safetensors")
    assert resumed.steps_done == 4
    for training in (whole, resumed):
        advance(training, 5)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert torch.equal(whole.loss_sum, resumed.loss_sum)


def test_loading_and_saving_again_gives_the_same_content(tmp_path: Path, recipe: Recipe, tiny_dataset: Dataset) -> None:
    recipe = recipe.replace(data_pruning=DataPruning())
    training = new(recipe, tiny_dataset)
    advance(training, 3)
    training.best_accuracy, training.best_epoch, training.images_seen, training.seconds = 0.1 + 0.2, 7, 24, 1 / 3
    save_checkpoint(training, tmp_path / "a")
    again = new(recipe, tiny_dataset)
    load_checkpoint(again, tmp_path / "a")
    save_checkpoint(again, tmp_path / "b")
    first, second = (load((tmp_path / name).read_bytes()) for name in ("a", "b"))
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert (again.best_accuracy, again.best_epoch, again.images_seen, again.seconds) == (0.1 + 0.2, 7, 24, 1 / 3)


def test_restored_momentum_has_the_memory_order_of_its_weights(
    tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset
) -> None:
    # Fused SGD walks through weight and momentum byte by byte: another order would pair the wrong numbers.
    training = new(tiny_recipe, tiny_dataset)
    advance(training, 1)
    save_checkpoint(training, tmp_path / "a")
    load_checkpoint(training, tmp_path / "a")
    for parameter, entry in training.optimizers[0].state.items():
        assert entry["momentum_buffer"].stride() == parameter.stride()


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    save_checkpoint(new(tiny_recipe, tiny_dataset), tmp_path / "a")
    with pytest.raises(RunError, match="does not fit this run"):
        load_checkpoint(new(tiny_recipe.replace(widths=(4, 4, 4, 4)), tiny_dataset), tmp_path / "a")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a checkpoint",
        (2**63).to_bytes(8, "little"),
        b"\x80\x04cos\nsystem\n(S'exit 1'\ntR.",
        save({"x": torch.zeros(1)}),
        save({"x": torch.zeros(1)}, metadata={"state": "{"}),
        save({"x": torch.zeros(1)}, metadata={"state": "[]"}),
        save({"x": torch.zeros(1)}, metadata={"state": json.dumps({"steps_done": None})}),
        save({"x": torch.zeros(1)}, metadata={"state": '{"steps_done": 1e999}'}),
        save({"x": torch.zeros(1)}, metadata={"state": "[" * 100_000}),
    ],
)
def test_what_is_no_checkpoint_is_refused(
    tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset, content: bytes
) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(RunError, match="does not fit this run"):
        load_checkpoint(new(tiny_recipe, tiny_dataset), tmp_path / "a")


def test_a_checkpoint_cut_anywhere_is_refused(tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    training = new(tiny_recipe, tiny_dataset)
    save_checkpoint(training, tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 50)):
        (tmp_path / "a").write_bytes(whole[:length])
        with pytest.raises(RunError, match="does not fit this run"):
            load_checkpoint(training, tmp_path / "a")


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("momentum_buffer", lambda value: value.reshape(-1)[:1]),
        ("momentum_buffer", lambda value: value.long()),
        ("momentum_buffer", None),
        ("lookahead.", lambda value: value.reshape(-1)[:1]),
        ("lookahead.", None),
    ],
)
def test_what_the_next_step_would_fail_on_is_refused_when_it_is_read(
    tmp_path: Path, tiny_dataset: Dataset, tiny_recipe: Recipe, part: str, change: Any
) -> None:
    recipe = tiny_recipe.replace(**{**MUON, "average": Average(after=0.0, every_steps=1)})
    training = new(recipe, tiny_dataset)
    advance(training, 2)
    save_checkpoint(training, tmp_path / "a")
    with safe_open(tmp_path / "a", framework="pt") as file:
        told = file.metadata()
    tensors = load((tmp_path / "a").read_bytes())
    steps = [key for key in json.loads(told["state"]) if key.endswith(".step")]  # of Muon, which cannot do without
    own = steps[0].replace(".step", ".momentum_buffer")
    name = own if part == "momentum_buffer" else next(name for name in tensors if name.startswith(part))
    value = tensors.pop(name)
    changed = {name: change(value)} if change else {}
    (tmp_path / "a").write_bytes(save({**tensors, **changed}, metadata=told))
    with pytest.raises(RunError, match="does not fit this run"):
        load_checkpoint(training, tmp_path / "a")


def test_a_signal_while_a_checkpoint_is_read_stops_and_does_not_call_it_broken(
    tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe.replace(data_pruning=DataPruning())
    training = new(recipe, tiny_dataset)
    advance(training, 2)
    save_checkpoint(training, tmp_path / "state.safetensors")

    class Hit:
        """PyTorch as it is hit by Ctrl-C inside a call: it says something else."""

        def __enter__(self) -> Hit:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def metadata(self) -> dict[str, str]:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise TypeError("could not determine the shape") from None
            raise KeyError("state")

    monkeypatch.setattr("snellen.train.checkpoint.safe_open", lambda *_, **__: Hit())
    with StopRequest() as stop, pytest.raises(Interrupted), stop.at_once():
        load_checkpoint(training, tmp_path / "state.safetensors")


def test_the_memory_of_losses_must_be_that_of_these_images(
    tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset
) -> None:
    recipe = tiny_recipe.replace(data_pruning=DataPruning())
    save_checkpoint(new(recipe, tiny_dataset), tmp_path / "state.safetensors")
    few = Dataset("few", tiny_dataset.train.take(np.arange(200), "all"), None, "here")
    with pytest.raises(RunError, match="does not fit this run"):
        load_checkpoint(new(recipe, few), tmp_path / "state.safetensors")
