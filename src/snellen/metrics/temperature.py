"""One number that makes confidences honest: divide all logits by a temperature, fitted on val only.

The order of the classes, and so the accuracy, cannot change. Fitting it where the result is then quoted would be
grading one's own homework, so any split but val is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from snellen.errors import InvalidSetting, UsageError
from snellen.metrics.calibration import expected_calibration_error
from snellen.metrics.classification import hard_cross_entropy, require_labels
from snellen.predict.predictions import Predictions

_COLDEST, _HOTTEST = 0.05, 20.0


@dataclass(frozen=True)
class TemperatureFit:
    """The temperature that makes val most likely, and what it changed there.

    Attributes:
        temperature: above 1 where the model was overconfident; logits are divided by it.
        n: val images it was fitted on.
        nll_before: mean -log p(label) in nats as trained.
        nll_after: the same with temperature; never larger.
        ece_before: expected calibration error as trained, a fraction.
        ece_after: the same with temperature; usually, not always, smaller.
        at_bound: whether the search ended at its limit (0.05 or 20): the logits hold no usable confidence.
    """

    temperature: float
    n: int
    nll_before: float
    nll_after: float
    ece_before: float
    ece_after: float
    at_bound: bool

    def __str__(self) -> str:
        ece = f"ECE {100 * self.ece_before:.2f} → {100 * self.ece_after:.2f} %"
        nll = f"NLL {self.nll_before:.4f} → {self.nll_after:.4f}"
        return f"temperature {self.temperature:.3f} (fitted on {self.n} val images): {ece}, {nll}"


def rescaled(predictions: Predictions, temperature: float) -> Predictions:
    """The same predictions with all logits, plain and averaged, divided by `temperature`.

    Raises:
        InvalidSetting: the temperature is not a positive number.
    """
    if not (temperature > 0 and math.isfinite(temperature)):
        raise InvalidSetting(f"temperature={temperature!r} is not possible: a positive number; 1 changes nothing.")
    tta_logits = predictions.tta_logits
    return replace(
        predictions,
        logits=(predictions.logits / np.float32(temperature)).astype(np.float32),
        tta_logits=None if tta_logits is None else (tta_logits / np.float32(temperature)).astype(np.float32),
    )


def fit_temperature(val: Predictions) -> TemperatureFit:
    """The temperature with the smallest negative log-likelihood on val, plain view, to 5 digits.

    The likelihood has one minimum in log temperature (it is convex in 1 / temperature), so a golden-section search
    finds it. Source: Guo et al. 2017, section 4.2.

    Raises:
        UsageError: the predictions are not of val, are empty, or have images without label.
    """
    if val.split != "val":
        raise UsageError(
            f"A temperature is fitted on val only, not on {val.split!r}: fitted where it is judged, it looks better "
            "than it is. Fit it on predictions_val.npz and apply it with `rescaled`."
        )
    require_labels(val)

    def loss(log_temperature: float) -> float:
        return hard_cross_entropy(rescaled(val, math.exp(log_temperature)))

    low, high = math.log(_COLDEST), math.log(_HOTTEST)
    log_temperature = _golden_section(loss, low, high)
    # A model that is right everywhere, or wrong everywhere, has no inner minimum.
    at_bound = min(log_temperature - low, high - log_temperature) < 1e-3
    temperature = math.exp(log_temperature)
    if loss(log_temperature) > loss(0.0):
        temperature = 1.0  # flat to the last bit: leave the model as it is
    after = rescaled(val, temperature)
    return TemperatureFit(
        temperature=temperature,
        n=len(val),
        nll_before=hard_cross_entropy(val),
        nll_after=hard_cross_entropy(after),
        ece_before=expected_calibration_error(val),
        ece_after=expected_calibration_error(after),
        at_bound=at_bound,
    )


def _golden_section(loss: Callable[[float], float], low: float, high: float) -> float:
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-5:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return (low + high) / 2
