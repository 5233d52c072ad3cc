"""Lookahead: the mean of the weights, and when it is copied back. EMA: a mean beside them."""

from __future__ import annotations

import torch
from torch import nn

from snellen.recipes.recipe import Average
from snellen.train.optimizers import Lookahead, moving_average


def test_the_weights_are_pulled_to_their_mean_every_few_steps_after_the_start() -> None:
    model = nn.Linear(1, 1, bias=False)
    lookahead = Lookahead(model, Average(after=0.5, every_steps=2, weight=0.25), steps=10)
    values = []
    for step in range(1, 11):
        with torch.no_grad():
            model.weight.fill_(float(step))
        lookahead.after_step(step)
        values.append(model.weight.item())
    # Begins with a copy at step 5; at 7 and 9: mean += 0.25 * (weights - mean), weights = mean.
    at_7 = 5 + 0.25 * (7 - 5)
    at_9 = at_7 + 0.25 * (9 - at_7)
    assert values == [1, 2, 3, 4, 5, 6, at_7, 8, at_9, 10]


def test_running_statistics_are_averaged_and_counters_are_not() -> None:
    model = nn.BatchNorm1d(1)
    lookahead = Lookahead(model, Average(after=0.0, every_steps=1, weight=0.5), steps=2)
    lookahead.after_step(0)
    assert model.running_mean is not None
    assert model.num_batches_tracked is not None
    model.running_mean.fill_(4.0)
    model.num_batches_tracked.fill_(8)
    lookahead.after_step(1)
    assert model.running_mean.item() == 2.0
    assert model.num_batches_tracked.item() == 8


def test_before_its_start_nothing_is_touched_or_kept() -> None:
    model = nn.Linear(2, 2)
    before = model.weight.detach().clone()
    lookahead = Lookahead(model, Average(after=0.9), steps=100)
    for step in range(90):
        lookahead.after_step(step)
    assert torch.equal(model.weight, before)
    assert lookahead.mean == {}


def test_the_moving_average_begins_with_the_first_trained_weights_and_keeps_its_fraction() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = moving_average(model, 0.75)
    values = []
    for value in (2.0, 6.0, 6.0):
        with torch.no_grad():
            model[0].weight.fill_(value)
            model[1].running_mean.fill_(value)
        average.update_parameters(model)
        values.append((average.module[0].weight.item(), average.module[1].running_mean.item()))
    assert values == [(2.0, 2.0), (3.0, 3.0), (3.75, 3.75)]
    assert model[0].weight.item() == 6.0
