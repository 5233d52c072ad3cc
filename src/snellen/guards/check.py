"""All guards at once: over a finished run, or over a data set before anything is trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import Ledger
from snellen.data.run_images import RunImages
from snellen.data.splits import Splits
from snellen.errors import RunError
from snellen.guards.cifar10_near_duplicates import cifar10_test_duplicates, listed_near_duplicates
from snellen.guards.copies import Copies, find_copies
from snellen.guards.data_guards import class_balance, labels_match_images, pixel_order, pixel_statistics
from snellen.guards.duplicates import duplicates_in_test, exact_duplicates, near_duplicates
from snellen.guards.guard import GuardResult, ask_guards, own_guards, unjudged, write_guards
from snellen.guards.model_guards import (
    initial_loss,
    published_statistics,
    repeatable_evaluation,
    small_image_stem,
    untrained,
)
from snellen.guards.run_guards import class_answers, finite_loss, overfit_gap, stuck_at_chance, used_once
from snellen.models.normalized import Classifier
from snellen.models.weights import restore
from snellen.predict.predictions import Predictions
from snellen.runs.run import Run


def check_data(parts: Splits, copies: Copies, *, data: Path | None = None) -> tuple[GuardResult, ...]:
    """What can be known before training; under a second once the copies are found.

    Args:
        parts: after the split.
        copies: found in them. A user's own test part is searched while it stays sealed.
        data: folder given with --data, where the list of near-duplicates is looked for.
    """
    train = parts.train
    return ask_guards(
        {
            **_of_images(train),
            "exact-duplicates": partial(exact_duplicates, copies),
            "near-duplicates": partial(near_duplicates, copies),
            "test-duplicates": partial(duplicates_in_test, copies)
            if train.files
            else lambda: cifar10_test_duplicates(train.name, listed_near_duplicates(data), None),
            **own_guards(parts, None),
        }
    )


def _of_images(train: LabeledImages) -> dict[str, Callable[[], GuardResult]]:
    return {
        "pixel-order": partial(pixel_order, train),
        "class-balance": partial(class_balance, train),
        "labels-match-images": partial(labels_match_images, train),
    }


def check_run(
    run: Run,
    images: Splits | RunImages | None,
    *,
    ledger: Ledger,
    device: torch.device,
    data: Path | None = None,
    before: Sequence[GuardResult] = (),
) -> tuple[GuardResult, ...]:
    """Judge a run and write guards.json into its folder. Never raises because of what a guard finds.

    Args:
        run: finished, or stopped by a loss that is no number.
        images: its training images, and val unless it was a final training; None where the data are not at hand.
        ledger: where looks at test sets are written.
        device: where the model answers.
        data: folder given with --data, where the list of near-duplicates is looked for.
        before: what was found before the training; it stands in place of the same guards' results now.

    Raises:
        StorageError: guards.json cannot be written, and the run has not come to its end.
    """
    started = time.process_time()
    known = {result.name for result in before}
    now = (*_journal_results(run, ledger, data), *_image_results(run, images, device))
    results = (*(result for result in now if result.name not in known), *before)
    write_guards(run, results, processor_seconds=time.process_time() - started)
    return results


def _journal_results(run: Run, ledger: Ledger, data: Path | None) -> tuple[GuardResult, ...]:
    """Those that need nothing but the run folder and the ledger."""
    info, rows = run.info, run.journal.rows()
    stored = _stored(run, "val")
    tested = _stored(run, "test")
    val = info["data"].get("val")
    name = str(info["data"]["name"])
    finite = stored is None or bool(np.isfinite(stored.logits).all())
    guards = {
        "finite-loss": lambda: finite_loss(rows, status=str(info["status"]), recipe=run.recipe, logits_finite=finite),
        "stuck-at-chance": lambda: stuck_at_chance(
            rows, val_per_class=val["per_class"] if val else [], recipe=run.recipe
        ),
        "overfit-gap": lambda: overfit_gap(rows, best_epoch=info.get("best_epoch"), recipe=run.recipe),
        "class-answers": lambda: class_answers(stored) if stored else unjudged("class-answers", _NO_VAL),
    }
    if info["data"]["test"] is not None:
        guards["test-once"] = lambda: used_once(
            ledger, data=name, recipe=run.recipe, started=str(run.read("environment.json").get("started", "")),
            runs=run.folder.resolve().parent,
        )  # fmt: skip
    if tested is not None and name == "cifar10":
        guards["test-duplicates"] = lambda: cifar10_test_duplicates(name, listed_near_duplicates(data), tested)
    return ask_guards(guards)


_NO_VAL = "There are no answers to val images; a final training keeps no val split."
_NEED_IMAGES = (
    "pixel-statistics", "repeatable-evaluation", "small-image-stem", "initial-loss", "pixel-order", "class-balance",
    "labels-match-images", "exact-duplicates",
)  # fmt: skip
_NO_IMAGES = "The images are not at hand; name their folder with --data."


def _image_results(run: Run, images: Splits | RunImages | None, device: torch.device) -> tuple[GuardResult, ...]:
    """Those that need the images, the weights, or both."""
    if images is None:
        return tuple(unjudged(name, _NO_IMAGES) for name in (*_NEED_IMAGES, *own_guards(None, run)))
    train, val, info, recipe = images.train, images.val, run.info, run.recipe
    mean, std = info["statistics"]["mean"], info["statistics"]["std"]
    try:
        model = restore(run, device)
    except RunError as error:
        results = tuple(unjudged(name, str(error)) for name in ("pixel-statistics", "repeatable-evaluation"))
    else:
        results = ask_guards(
            {
                "pixel-statistics": lambda: _statistics(run, model, train),
                "repeatable-evaluation": lambda: repeatable_evaluation(
                    model, val or train, stored=_stored(run, "val"), bf16=info["precision"] == "bf16"
                ),
            }
        )
    fresh = partial(untrained, recipe, train, mean=mean, std=std, seed=int(info["seed"]))
    return results + ask_guards(
        {
            "small-image-stem": lambda: small_image_stem(fresh(), train.image_shape),
            "initial-loss": lambda: initial_loss(fresh().to(device), val or train),
            **_of_images(train),
            "exact-duplicates": lambda: exact_duplicates(find_copies(train, val, near=False)),
            **own_guards(images, run),
        }
    )


def _statistics(run: Run, model: Classifier, train: LabeledImages) -> GuardResult:
    measured_on = str(run.info["statistics"].get("measured_on"))
    if measured_on == "published":
        return published_statistics(model, run.recipe.model)
    mean, std = model.normalize.mean.tolist(), model.normalize.std.tolist()
    return pixel_statistics(mean, std, measured_on=measured_on, train=train)


def _stored(run: Run, split: str) -> Predictions | None:
    try:
        return Predictions.load(run.folder / f"predictions_{split}.npz")
    except RunError:
        return None
