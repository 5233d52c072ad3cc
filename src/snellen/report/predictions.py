"""One run's predictions on one split, as the page wants them: figures over all rows, and the rows to look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.inspect.feature_space import METHODS, Method, embed, principal_components
from snellen.metrics.calibration import calibration, confidences, fit_temperature
from snellen.metrics.compare import compare
from snellen.metrics.confidence import confidence_groups, risk_coverage
from snellen.metrics.confusion import confusion_matrix, worst_pairs
from snellen.metrics.feature_geometry import feature_geometry, unit_rows
from snellen.metrics.label_issues import label_issues
from snellen.metrics.scorecard import scorecard
from snellen.predict.predictions import Predictions
from snellen.report.encoding import packed, packed_fractions
from snellen.serialize import to_json

_TOP = 5
_PAIRS = 40
_POINTS = 101  # of a curve


def chosen_rows(answers: Sequence[Predictions], limit: int) -> NDArray[np.int64]:
    """Rows whose pictures go into the page, ascending: all, or `limit` of them.

    Where there are too many, mistakes of the first run come first, then those of the others, then close calls; the rest
    is spread evenly over the sure and right.

    Args:
        answers: of one run or more, row for row on the same pictures.
        limit: at least 1.
    """
    first = answers[0]
    sure, nervous_right, nervous_wrong, wrong = (group.index for group in confidence_groups(first))
    others = [np.flatnonzero(~other.correct) for other in answers[1:]]
    in_order = np.concatenate([wrong, nervous_wrong, *others, nervous_right])
    _, places = np.unique(in_order, return_index=True)
    chosen = in_order[np.sort(places)][:limit]
    spare, left = limit - len(chosen), np.setdiff1d(sure, chosen)
    evenly = np.linspace(0, len(left) - 1, min(spare, len(left))).round().astype(np.int64)
    return np.unique(np.concatenate([chosen, left[evenly]])).astype(np.int64)


def predictions_json(predictions: Predictions, rows: NDArray[np.int64]) -> dict[str, Any]:
    """Everything about one run and split: figures over all rows, lists of pictures over `rows`, those in the page."""
    matrix, names = confusion_matrix(predictions), predictions.class_names
    card = to_json(scorecard(predictions))
    classes, _ = card.pop("classes"), card.pop("worst_pairs")
    place = {name: index for index, name in enumerate(names)}
    return {
        "n": len(predictions),
        "card": card,
        "classes": classes,
        "matrix": matrix.tolist(),
        "pairs": [
            {**to_json(pair), "first": place[pair.first], "second": place[pair.second]}
            for pair in worst_pairs(matrix, names, limit=_PAIRS)
        ],
        "calibration": to_json(calibration(predictions, draws=300)),
        "temperature": fit_temperature(predictions).temperature if predictions.split == "val" else None,
        "coverage": _coverage_json(predictions),
        **_rows_json(predictions, rows),
    }


def versus_json(by_run: Mapping[int, Predictions]) -> list[dict[str, Any]]:
    """Each two runs on the same pictures, in both directions: the second against the first."""
    return [
        {"first": first, "second": second, "difference": to_json(compare(by_run[first], by_run[second]))}
        for first, second in permutations(by_run, 2)
    ]


def _coverage_json(predictions: Predictions) -> dict[str, list[float]]:
    """If it answers only where it is most sure: share answered, accuracy on those, and the confidence asked for."""
    kept = risk_coverage(predictions)
    index = np.unique(np.linspace(0, kept.n - 1, _POINTS).round().astype(np.int64))
    sure = np.sort(-confidences(predictions))
    return {
        "share": kept.coverage[index].round(5).tolist(),
        "accuracy": (1 - kept.risk[index]).round(5).tolist(),
        "least": (-sure[index]).round(5).tolist(),
    }


def _rows_json(predictions: Predictions, rows: NDArray[np.int64]) -> dict[str, Any]:
    probabilities = predictions.probabilities[rows]
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :_TOP]
    own = np.take_along_axis(probabilities, predictions.labels[rows][:, None], axis=1)[:, 0]
    group_of, place_in = np.zeros(len(predictions), dtype=np.int64), np.zeros(len(predictions), dtype=np.int64)
    described = []
    for number, group in enumerate(confidence_groups(predictions)):
        group_of[group.index] = number
        place_in[group.index] = np.arange(len(group.index))
        described.append({key: value for key, value in to_json(group).items() if not key.startswith("first_")})
    return {
        "groups": described,
        "top_count": top.shape[1],
        "rows": {
            "top": packed(top, "u2"),
            "probability": packed_fractions(np.take_along_axis(probabilities, top, axis=1)),
            "own": packed_fractions(own),
            "group": packed(group_of[rows], "u1"),
            "place": packed(place_in[rows], "u4"),
            "label_issue": packed(_label_issue_ranks(predictions)[rows], "u4"),
        },
    }


def _label_issue_ranks(predictions: Predictions) -> NDArray[np.int64]:
    """(N,) int64: 1 for the label most doubted by confident learning, 0 for a label that is not doubted."""
    ranks, found = np.zeros(len(predictions), dtype=np.int64), label_issues(predictions).index
    ranks[found] = np.arange(1, len(found) + 1)
    return ranks


def geometry_json(
    features: NDArray[np.float32], predictions: Predictions, rows: NDArray[np.int64], method: Method | None = None
) -> dict[str, Any]:
    """Centroid similarity, spread, both rank correlations, and the maps of the rows shown.

    Args:
        features: (N, D) float32, one row per prediction, from the last layer's input.
        predictions: N answers.
        rows: the rows whose pictures are in the page.
        method: of a second map beside the principal components; None for none.

    Raises:
        UsageError: the library for `method` is not installed.
    """
    assert len(features) == len(predictions), "one row of features per prediction"
    geometry = feature_geometry(features, predictions.labels, confusion_matrix(predictions))
    # The last layer judges by direction, and a picture's strength would stretch every class into a ray.
    directions = unit_rows(features - features.mean(axis=0))
    flat = principal_components(directions)
    maps: list[dict[str, Any]] = [
        {"name": "PCA", "points": packed(flat.points[rows], "f4"), "share": float(flat.share.sum())}
    ]
    if method:
        maps.append({"name": METHODS[method], "points": packed(embed(directions[rows], method), "f4")})
    told = to_json(
        dataclasses.replace(geometry, cosine=geometry.cosine[:0])
    )  # a thousand classes make a million numbers
    return {**told, "cosine": packed(geometry.cosine, "f4"), "dimensions": int(features.shape[1]), "maps": maps}
