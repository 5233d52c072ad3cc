"""The last stops: from logits to an answer, its loss, its average over views, and what was written down about it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from snellen.augment.batched import to_float
from snellen.data.labeled_images import LabeledImages
from snellen.errors import RunError
from snellen.explain import by_hand
from snellen.explain.context import Subject
from snellen.explain.quoted import quote
from snellen.explain.stage import Picture, Stage, compare, numbers_of, show_bars, show_bytes
from snellen.explain.stages_network import Pass
from snellen.metrics.classification import hard_cross_entropy, smoothed_cross_entropy
from snellen.predict import own_pictures
from snellen.predict.predict import evaluating, predict
from snellen.predict.predictions import Predictions

_BY_HAND = "explain/by_hand.py"
_ROUNDING = 3e-5
_STORED = {"fp32": 2e-3, "bf16": 3e-2}
"""Of the largest logit. A GPU multiplies fp32 with 10 bits of mantissa in convolutions, bf16 has 7."""
_TOP = 5


def answer_stages(subject: Subject, passed: Pass) -> list[Stage]:
    """Softmax, top 5, loss, views and the stored prediction; what a run does not have is left out."""
    one = _as_predictions(subject, passed.logits)
    stages = [_softmax(one), _top(one), _loss(subject, one)]
    if subject.ground.recipe.tta != "none":
        stages.append(_views(subject))
    stored = _stored(subject, passed)
    return stages if stored is None else [*stages, stored]


def _as_predictions(subject: Subject, logits: NDArray[np.float32]) -> Predictions:
    labels, ids = np.array([subject.label]), np.array([subject.image_id])
    return Predictions(logits[None], labels, ids, subject.images.class_names, subject.split)


def _softmax(one: Predictions) -> Stage:
    made = one.probabilities[0]
    again = by_hand.softmax(one.logits[0].astype(np.float64))
    return Stage(
        key="softmax",
        title="Probabilities",
        says="Softmax in float64. The largest logit is subtracted first, which changes nothing and cannot overflow; "
        "beside it the textbook's formula.",
        numbers=numbers_of(made, "classes"),
        production=quote("predict/predictions.py", "exponents / exponents.sum"),
        by_hand=quote(_BY_HAND, "np.exp(logits)", within="softmax"),
        check=compare(made, again, relative=1e-12),
        facts=(("sum", f"{made.sum():.12f}"),),
        pictures=(Picture("one bar a class", show_bars(made)),),
    )


def _top(one: Predictions) -> Stage:
    probabilities, names = one.probabilities[0], one.class_names
    made = own_pictures.most_probable(probabilities, _TOP)
    again = by_hand.most_probable(probabilities, _TOP)
    label = int(one.labels[0])
    verdict = "right" if made[0] == label else "wrong"
    return Stage(
        key="top",
        title=f"Top {len(made)}",
        says=f"The answer is {names[made[0]]}, the label says {names[label]}: {verdict}. Equals rank in class order.",
        numbers=numbers_of(probabilities[made], "probabilities, the largest first"),
        production=quote("predict/own_pictures.py", "np.argsort(-probabilities"),
        by_hand=quote(_BY_HAND, "sorted(range(", within="most_probable"),
        check=compare(np.array(made), np.array(again), relative=0),
        facts=tuple((names[index], f"{100 * probabilities[index]:.2f} %") for index in made),
        pictures=(Picture("the largest first", show_bars(probabilities[made])),),
    )


def _loss(subject: Subject, one: Predictions) -> Stage:
    smoothing = subject.ground.recipe.label_smoothing
    logits, labels = torch.from_numpy(one.logits), torch.from_numpy(one.labels)
    made = [functional.cross_entropy(logits, labels, label_smoothing=share).item() for share in (0.0, smoothing)]
    again = [hard_cross_entropy(one), smoothed_cross_entropy(one, smoothing)]
    facts = [("hard", f"{made[0]:.6f}"), (f"smoothed by {smoothing}", f"{made[1]:.6f}")]
    if smoothing:
        says = f"In nats: hard {made[0]:.4f}, and {made[1]:.4f} against the smoothed targets that training uses."
    else:
        made, again = made[:1], again[:1]
        says, facts = f"In nats: {made[0]:.4f}. This recipe does not smooth labels.", facts[:1]
    return Stage(
        key="loss",
        title="Loss of this image",
        says=f"{says} Torch in float32, NumPy in float64.",
        numbers=numbers_of(np.array(made, dtype=np.float32), "hard, smoothed" if smoothing else "hard"),
        production=quote("train/step.py", "functional.cross_entropy("),
        by_hand=quote("metrics/classification.py", "(1 - _checked(smoothing))")
        if smoothing
        else quote("metrics/classification.py", "-np.take_along_axis(log_probabilities"),
        check=compare(np.array(made), np.array(again), relative=1e-5),
        facts=tuple(facts),
        pictures=(Picture("hard, smoothed" if smoothing else "hard", show_bars(np.array(made))),),
    )


def _views(subject: Subject) -> Stage:
    tta, model = subject.ground.recipe.tta, subject.ground.model
    made = predict(model, _alone(subject), tta=tta).tta_logits
    assert made is not None, "there are views"
    seen = by_hand.views(subject.image, tta)
    with evaluating(model):
        logits = np.concatenate([model(to_float(torch.from_numpy(each[None].copy()))).numpy() for _, each in seen])
    weights = np.array([weight for weight, _ in seen])
    again = by_hand.average(weights, logits.astype(np.float64))
    answers = [subject.images.class_names[index] for index in logits.argmax(axis=1).tolist()]
    said = subject.images.class_names[int(again.argmax())]
    share = subject.ground.recipe.tta_fraction
    only = f" Only the {100 * share:g} % least sure pictures get them." if share < 1 else ""
    return Stage(
        key="views",
        title="Test-time views",
        says=f"{len(seen)} fixed views ({tta}), nothing random; their logits averaged say {said}.{only}",
        numbers=numbers_of(made[0], "classes"),
        production=quote("predict/predict.py", "sum(weight * model(view)"),
        by_hand=quote(_BY_HAND, "weights[:, None] * logits", within="average"),
        check=compare(made[0], again, relative=_ROUNDING),
        facts=tuple((f"view {n + 1}, weight {weights[n]:g}", answer) for n, answer in enumerate(answers)),
        pictures=tuple(Picture(f"{n + 1}: {answers[n]}", show_bytes(each)) for n, (_, each) in enumerate(seen)),
    )


def _alone(subject: Subject) -> LabeledImages:
    return subject.images.take(np.array([subject.row]), subject.images.role)


def _stored(subject: Subject, passed: Pass) -> Stage | None:
    stored, precision = subject.ground.stored, str(subject.ground.run.info["precision"])
    if stored is None or subject.split != "val":
        return None
    at = np.flatnonzero(stored.ids == subject.image_id)
    if len(at) == 0:
        raise RunError(
            f"{subject.ground.run.folder / 'predictions_val.npz'} has no image {subject.image_id}. "
            f"Grade the run again: snellen evaluate {subject.ground.run.typed}"
        )
    made = stored.logits[at[0]]
    again = predict(subject.ground.model, _alone(subject), bf16=precision == "bf16").logits[0]
    facts = [("precision", precision), ("device", str(subject.ground.run.info["device"]))]
    if precision == "bf16":
        apart = compare(made, passed.logits, relative=0).difference
        facts.append(("apart from the fp32 logits above", f"{apart:.2g}"))
    return Stage(
        key="stored",
        title="What was written down",
        says="predictions_val.npz holds these logits, and every grade, matrix and page is computed from them. Asked "
        f"again in {precision}, the model gives the same up to rounding.",
        numbers=numbers_of(made, "classes"),
        production=quote("predict/predict.py", "plain = _logits("),
        by_hand=quote("explain/stages_answer.py", "again = predict(", within="_stored"),
        check=compare(made, again, relative=_STORED["bf16" if precision == "bf16" else "fp32"]),
        facts=(*facts, ("stored answer", stored.class_names[int(made.argmax())])),
        pictures=(Picture("one bar a class", show_bars(made)),),
    )
