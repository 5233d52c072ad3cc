"""The learning-rate range test: raise the rate from far too small to far too large, and watch the loss.

Source: L. Smith, "Cyclical learning rates for training neural networks", 2017. All of a recipe's rates are raised
together, as a factor of what the recipe says. The loss is smoothed as fastai's `lr_find` does it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from snellen.errors import InvalidSetting
from snellen.recipes.json_form import rates
from snellen.recipes.recipe import Recipe
from snellen.train.setup import TrainingSetup
from snellen.train.training import Training

_LOW, _HIGH = 1e-4, 10.0  # factors of the recipe's own rates
_SMOOTHING = 0.9  # weight of the past in the running mean of the loss
_DIVERGED = 3.0  # times the smallest loss so far, or not a number
_LOOKED_AT = 10  # the first steps are noise


@dataclass(frozen=True)
class RangeTest:
    """The loss at each rate.

    Attributes:
        factors: of the recipe's rates, rising by a constant ratio.
        losses: nats per image, as trained on, smoothed.
        steepest: the factor at which the loss falls fastest per decade: a rate that trains.
        lowest: the factor at which the loss is lowest: beyond it training becomes unstable.
    """

    factors: tuple[float, ...]
    losses: tuple[float, ...]
    steepest: float
    lowest: float

    def suggestion(self, recipe: Recipe) -> dict[str, float]:
        """The recipe's rates at the steepest fall, as `--set` settings, to two digits."""
        return {name: float(f"{self.steepest * rate:.2g}") for name, rate in rates(recipe).items()}


def range_test(
    setup: TrainingSetup, *, steps: int = 100, advance: Callable[[int], None] = lambda step: None
) -> RangeTest:
    """Train up to `steps` steps from new weights, each at a higher rate; stops when the loss has run away.

    Args:
        setup: what would be trained. Nothing of it is kept or changed.
        steps: at most; fewer give a rougher curve.
        advance: is called with the number of steps made.

    Raises:
        InvalidSetting: too few steps to see anything.
    """
    if not 20 <= steps <= 10_000:
        raise InvalidSetting(f"--steps {steps} is not possible: 20 to 10000 steps.")
    rising = [_LOW * (_HIGH / _LOW) ** (step / (steps - 1)) for step in range(steps)]
    # Held at its beginning: images stay as small and as many parameters frozen as in the first step.
    training = Training(setup, steps=steps, schedule=rising.__getitem__, held_at=0.0)
    factors: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for step, batch in enumerate(training.batches()):
        loss = training.step(batch).item() / training.batch_size
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        smoothed = mean / (1 - _SMOOTHING ** (step + 1))  # as if the mean had begun with this loss
        if not math.isfinite(loss) or (losses and smoothed > _DIVERGED * min(losses)):
            break
        factors.append(rising[step])
        losses.append(smoothed)
        advance(step + 1)
    return RangeTest(tuple(factors), tuple(losses), *_read(factors, losses))


def _read(factors: list[float], losses: list[float]) -> tuple[float, float]:
    """The factors of the steepest fall and of the lowest loss."""
    if len(losses) < _LOOKED_AT + 3:
        raise InvalidSetting(
            f"The loss ran away after {len(losses)} steps, at {_LOW:g} times the recipe's rates. Divide them by 1000 "
            "and try again."
        )
    lowest = min(range(_LOOKED_AT, len(losses)), key=losses.__getitem__)
    # Over five points and not two: a single lucky batch is no slope.
    falls = [(losses[at - 2] - losses[min(at + 2, len(losses) - 1)], at) for at in range(_LOOKED_AT, lowest)]
    steepest = max(falls)[1] if falls else lowest
    return factors[steepest], factors[lowest]
