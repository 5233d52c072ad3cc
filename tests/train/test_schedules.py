"""The learning rate against closed forms and PyTorch's own schedule."""

from __future__ import annotations

import math

import pytest
import torch

from snellen.errors import InvalidSetting
from snellen.parts import registered
from snellen.recipes.catalog import RECIPES
from snellen.recipes.recipe import Recipe, Schedule
from snellen.train.schedules import lr_fraction, out_of_patience, shape_of


def test_cosine_per_epoch_is_pytorchs_cosine_annealing_stepped_once_an_epoch() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    schedule = RECIPES["resnet18"].schedule
    for epoch in range(100):
        for step in (7 * epoch, 7 * epoch + 6):  # first and last step of the epoch
            ours = 0.1 * lr_fraction(schedule, step=step, steps=700, steps_per_epoch=7)
            assert ours == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(
    ("after_epochs", "rate"), [(0, 0.1), (1, 0.09998), (10, 0.0976), (40, 0.0655), (50, 0.05), (80, 0.0095)]
)
def test_the_lessons_rates_after_so_many_epochs_of_100(after_epochs: int, rate: float) -> None:
    fraction = lr_fraction(RECIPES["resnet18"].schedule, step=352 * after_epochs, steps=35_200, steps_per_epoch=352)
    assert 0.1 * fraction == pytest.approx(rate, abs=6e-5)


@pytest.mark.parametrize("step", range(10))
def test_a_constant_rate_is_constant(step: int) -> None:
    assert lr_fraction(Schedule(), step=step, steps=10, steps_per_epoch=5) == 1.0


@pytest.mark.parametrize("step", range(10))
def test_linear_falls_by_the_same_amount_each_step(step: int) -> None:
    fraction = lr_fraction(Schedule(shape="linear"), step=step, steps=10, steps_per_epoch=5)
    assert fraction == pytest.approx(1 - step / 10)


@pytest.mark.parametrize("step", range(10))
def test_cosine_per_step_is_half_a_cosine(step: int) -> None:
    fraction = lr_fraction(Schedule(shape="cosine"), step=step, steps=10, steps_per_epoch=5)
    assert fraction == pytest.approx((1 + math.cos(math.pi * step / 10)) / 2)


def test_warm_up_rises_evenly_to_the_peak_and_never_starts_at_zero() -> None:
    schedule = Schedule(shape="linear", warmup_fraction=0.4)
    rates = [lr_fraction(schedule, step=step, steps=10, steps_per_epoch=5) for step in range(10)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:] == pytest.approx([5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


def test_the_rate_falls_to_the_floor_and_stays_there_for_the_tail() -> None:
    schedule = Schedule(shape="linear", tail_fraction=0.5, floor=0.25)
    rates = [lr_fraction(schedule, step=step, steps=16, steps_per_epoch=4) for step in range(16)]
    assert rates[:7] == pytest.approx([1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8])
    assert rates[7:] == [0.25] * 9


def test_a_cosine_has_a_floor_too() -> None:
    schedule = Schedule(shape="cosine", tail_fraction=0.25, floor=0.1)
    rates = [lr_fraction(schedule, step=step, steps=40, steps_per_epoch=4) for step in range(40)]
    assert rates[15] == pytest.approx(0.5)
    assert rates[30:] == [0.1] * 10
    assert rates == sorted(rates, reverse=True)


def test_sprint_ends_its_last_three_eighths_of_an_epoch_at_a_twentieth_of_its_peak() -> None:
    sprint, per_epoch = RECIPES["sprint"], 32
    steps = round(sprint.epochs * per_epoch)
    rates = [lr_fraction(sprint.schedule, step=at, steps=steps, steps_per_epoch=per_epoch) for at in range(steps)]
    assert rates[0] == 1.0
    assert rates[-12:] == [0.05] * 12
    assert min(rates) == 0.05


def test_a_shape_of_ones_own_begins_where_the_warm_up_ends() -> None:
    schedule = Schedule(warmup_fraction=0.4)
    rates = [lr_fraction(schedule, step=at, steps=10, steps_per_epoch=5, shape=lambda done: 0.5) for at in range(10)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8] + [0.5] * 6)


@pytest.mark.parametrize("gives", [1.01, -0.01, "1", None])
def test_a_shape_that_gives_no_fraction_is_refused(monkeypatch: pytest.MonkeyPatch, gives: object) -> None:
    monkeypatch.setitem(registered("schedule"), "own", lambda done: gives if done == 0.75 else done)
    with pytest.raises(InvalidSetting, match=r"schedule.shape=own gives .* at 0.75; it takes a fraction"):
        shape_of(Schedule(shape="own"))


@pytest.mark.parametrize(
    ("epoch", "best", "ended"),
    [(8, 4, True), (8, 5, False), (7, 3, False), (6, 0, False), (10, 4, True), (4, 2, False)],
)
def test_patience_runs_out_at_a_look_and_never_where_nobody_looks(epoch: int, best: int, ended: bool) -> None:
    recipe = Recipe(name="patient", model="mlp", epochs=20, batch_size=10, patience=4, evaluate_every=2)
    assert out_of_patience(recipe, epoch, best, images=100) is ended


@pytest.mark.parametrize("shape", ["constant", "cosine", "linear"])
@pytest.mark.parametrize("per", ["step", "epoch"])
@pytest.mark.parametrize("warmup", [0.0, 0.3, 0.99])
@pytest.mark.parametrize(("steps", "per_epoch"), [(1, 1), (2, 5), (7, 3), (30, 10)])
def test_every_schedule_stays_above_zero_and_at_most_one(
    shape: str, per: str, warmup: float, steps: int, per_epoch: int
) -> None:
    schedule = Schedule(shape=shape, per=per, warmup_fraction=warmup)  # type: ignore[arg-type]
    rates = [lr_fraction(schedule, step=step, steps=steps, steps_per_epoch=per_epoch) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
