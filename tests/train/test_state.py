"""A checkpoint holds everything, gives it back to the bit, and fits one model only."""

from __future__ import annotations

import json
import signal
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
from snellen.train.interrupt import Interrupted, StopRequest
from snellen.train.loop import initial_state
from snellen.train.precision import Placement
from snellen.train.setup import prepare
from snellen.train.state import TrainingState
from snellen.train.step import update

MUON = {"model": "sprint_net", "widths": (24, 24, 24), "optimizer": Muon(), "average": Average(after=0.1)}


@pytest.fixture(params=["sgd", "muon"])
def recipe(request: pytest.FixtureRequest, tiny_recipe: Recipe) -> Recipe:
    return tiny_recipe if request.param == "sgd" else tiny_recipe.replace(**MUON)


def new(recipe: Recipe, dataset: Dataset) -> TrainingState:
    return initial_state(prepare(recipe, dataset, seed=0, device="cpu", precision="fp32"), 16)


def advance(state: TrainingState, recipe: Recipe, steps: int) -> None:
    generator = torch.Generator().manual_seed(state.step)
    for _ in range(steps):
        images = torch.rand(8, 3, 32, 32, generator=generator).contiguous(memory_format=torch.channels_last)
        loss, _ = update(
            state.model.train(),
            images,
            torch.arange(8),
            optimizers=state.optimizers,
            lr=0.5,
            recipe=recipe,
            placement=Placement.nowhere(),
        )
        state.step += 1
        state.loss_sum += loss
        if state.lookahead:
            state.lookahead.after_step(state.step)


def test_what_goes_on_from_a_checkpoint_equals_what_never_stopped_to_the_bit(
    tmp_path: Path, recipe: Recipe, tiny_dataset: Dataset
) -> None:
    whole = new(recipe, tiny_dataset)
    advance(whole, recipe, 4)
    whole.save(tmp_path / "state.safetensors")
    resumed = new(recipe, tiny_dataset)
    resumed.load(tmp_path / "state.safetensors")
    assert resumed.step == 4
    for state in (whole, resumed):
        advance(state, recipe, 5)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert torch.equal(whole.loss_sum, resumed.loss_sum)


def test_loading_and_saving_again_gives_the_same_content(tmp_path: Path, recipe: Recipe, tiny_dataset: Dataset) -> None:
    state = new(recipe, tiny_dataset)
    advance(state, recipe, 3)
    state.best_accuracy, state.best_epoch, state.images_seen, state.seconds = 0.1 + 0.2, 7, 24, 1 / 3
    state.save(tmp_path / "a")
    again = new(recipe, tiny_dataset)
    again.load(tmp_path / "a")
    again.save(tmp_path / "b")
    first, second = (load((tmp_path / name).read_bytes()) for name in ("a", "b"))
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert (again.best_accuracy, again.best_epoch, again.images_seen, again.seconds) == (0.1 + 0.2, 7, 24, 1 / 3)


def test_restored_momentum_has_the_memory_order_of_its_weights(
    tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset
) -> None:
    # Fused SGD walks through weight and momentum byte by byte: another order would pair the wrong numbers.
    state = new(tiny_recipe, tiny_dataset)
    advance(state, tiny_recipe, 1)
    state.save(tmp_path / "a")
    state.load(tmp_path / "a")
    for parameter, entry in state.optimizers[0].state.items():
        assert entry["momentum_buffer"].stride() == parameter.stride()


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    new(tiny_recipe, tiny_dataset).save(tmp_path / "a")
    with pytest.raises(RunError, match="does not fit this run"):
        new(tiny_recipe.replace(widths=(4, 4, 4, 4)), tiny_dataset).load(tmp_path / "a")


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
        save({"x": torch.zeros(1)}, metadata={"state": json.dumps({"step": None})}),
        save({"x": torch.zeros(1)}, metadata={"state": '{"step": 1e999}'}),
        save({"x": torch.zeros(1)}, metadata={"state": "[" * 100_000}),
    ],
)
def test_what_is_no_checkpoint_is_refused(
    tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset, content: bytes
) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(RunError, match="does not fit this run"):
        new(tiny_recipe, tiny_dataset).load(tmp_path / "a")


def test_a_checkpoint_cut_anywhere_is_refused(tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    state = new(tiny_recipe, tiny_dataset)
    state.save(tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 50)):
        (tmp_path / "a").write_bytes(whole[:length])
        with pytest.raises(RunError, match="does not fit this run"):
            state.load(tmp_path / "a")


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
    state = new(recipe, tiny_dataset)
    advance(state, recipe, 2)
    state.save(tmp_path / "a")
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
        state.load(tmp_path / "a")


def test_a_signal_while_a_checkpoint_is_read_stops_and_does_not_call_it_broken(
    tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe.replace(prune=DataPruning())
    state = new(recipe, tiny_dataset)
    advance(state, recipe, 2)
    state.save(tmp_path / "state.safetensors")

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

    monkeypatch.setattr("snellen.train.state.safe_open", lambda *_, **__: Hit())
    with StopRequest() as stop, pytest.raises(Interrupted), stop.at_once():
        state.load(tmp_path / "state.safetensors")


def test_the_memory_of_losses_must_be_that_of_these_images(
    tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset
) -> None:
    recipe = tiny_recipe.replace(prune=DataPruning())
    state = new(recipe, tiny_dataset)
    assert state.pruning is not None
    state.pruning.note(torch.tensor([3, 5]), torch.tensor([0.25, 0.5]))
    state.save(tmp_path / "state.safetensors")
    again = new(recipe, tiny_dataset)
    again.load(tmp_path / "state.safetensors")
    assert again.pruning is not None
    assert torch.equal(again.pruning.losses, state.pruning.losses)
    few = Dataset("few", tiny_dataset.train.take(np.arange(200), "all"), None, "here")
    with pytest.raises(RunError, match="does not fit this run"):
        new(recipe, few).load(tmp_path / "state.safetensors")
