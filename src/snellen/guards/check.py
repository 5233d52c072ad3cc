"""All guards at once: over a finished run, or over a data set before anything is trained."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import Ledger
from snellen.data.sealed_images import SealedImages
from snellen.errors import RunError
from snellen.guards.cifar10_near_duplicates import find_twins, twins_known
from snellen.guards.copies import copies_in_test
from snellen.guards.data_guards import (
    class_balance,
    exact_duplicates,
    labels_match_images,
    pixel_order,
    pixel_statistics,
)
from snellen.guards.guard import Verdict, judge, unjudged, write_verdicts
from snellen.guards.looks import looked_at
from snellen.guards.model_guards import blind_start, repeatable_evaluation, small_image_stem, untrained
from snellen.guards.near_duplicates import near_duplicates
from snellen.guards.training_guards import class_answers, finite_loss, overfit_gap, stuck_at_chance
from snellen.models.restore import restore
from snellen.predict.predictions import Predictions
from snellen.runs.run import Run


def check_data(
    train: LabeledImages,
    val: LabeledImages | None,
    *,
    data: Path | None = None,
    test: SealedImages | None = None,
    files: Sequence[str] = (),
) -> tuple[Verdict, ...]:
    """What can be known before training. The search for near-copies takes seconds, the rest under one.

    Args:
        train: after the split.
        val: likewise.
        data: folder given with --data, where the list of test twins is looked for.
        test: a user's own test part, searched for copies while it stays sealed; None for data known by name.
        files: the name of the file each id stands for; empty where there are none.
    """
    own = bool(files)
    return judge(
        {
            "pixel-order": partial(pixel_order, train),
            "class-balance": partial(class_balance, train),
            "labels-match-images": partial(labels_match_images, train),
            "exact-duplicates": partial(exact_duplicates, train, val, files),
            "near-duplicates": partial(near_duplicates, train, val, files),
            "test-twins": partial(copies_in_test, train, val, test, files)
            if own
            else lambda: twins_known(train.name, find_twins(data), None),
        }
    )


def check_run(
    run: Run,
    *,
    train: LabeledImages | None,
    val: LabeledImages | None,
    ledger: Ledger,
    device: torch.device,
    data: Path | None = None,
    before: Sequence[Verdict] = (),
) -> tuple[Verdict, ...]:
    """Judge a run and write guards.json into its folder. Never raises because of what a guard finds.

    Args:
        run: finished, or stopped by a loss that is no number.
        train: its training images; None where the data are not at hand.
        val: its val images; None after a final training.
        ledger: where looks at test sets are written.
        device: where the model answers.
        data: folder given with --data, where the list of test twins is looked for.
        before: what was found before the training; it stands in place of the same guards' verdicts now.

    Raises:
        StorageError: guards.json cannot be written.
    """
    started = time.process_time()
    known = {verdict.name for verdict in before}
    now = (*_journal_verdicts(run, ledger, data), *_image_verdicts(run, train, val, device))
    verdicts = (*(verdict for verdict in now if verdict.name not in known), *before)
    write_verdicts(run, verdicts, processor_seconds=time.process_time() - started)
    return verdicts


def _journal_verdicts(run: Run, ledger: Ledger, data: Path | None) -> tuple[Verdict, ...]:
    """Those that need nothing but the run folder and the ledger."""
    info, rows = run.info, run.journal.rows()
    stored = _stored(run, "val")
    tested = _stored(run, "test")
    val = info["data"].get("val")
    name = str(info["data"]["name"])
    guards = {
        "finite-loss": lambda: finite_loss(
            rows,
            status=str(info["status"]),
            logits_finite=stored is None or bool(np.isfinite(stored.logits).all()),
        ),
        "stuck-at-chance": lambda: stuck_at_chance(rows, val_per_class=val["per_class"] if val else []),
        "overfit-gap": lambda: overfit_gap(rows, best_epoch=info.get("best_epoch"), recipe=run.recipe),
        "class-answers": lambda: class_answers(stored) if stored else unjudged("class-answers", _NO_VAL),
        "test-once": lambda: looked_at(
            ledger,
            data=name,
            recipe=run.recipe,
            started=str(run.read("environment.json").get("started", "")),
            runs=run.folder.resolve().parent,
        ),
    }
    if tested is not None and name == "cifar10":
        guards["test-twins"] = lambda: twins_known(name, find_twins(data), tested)
    return judge(guards)


_NO_VAL = "There are no answers to val images; a final training keeps no val split."
_NEED_IMAGES = (
    "pixel-statistics",
    "repeatable-evaluation",
    "small-image-stem",
    "blind-start",
    "pixel-order",
    "class-balance",
    "labels-match-images",
    "exact-duplicates",
)
_NO_IMAGES = "The images are not at hand; name their folder with --data."


def _image_verdicts(
    run: Run, train: LabeledImages | None, val: LabeledImages | None, device: torch.device
) -> tuple[Verdict, ...]:
    """Those that need the images, the weights, or both."""
    if train is None:
        return tuple(unjudged(name, _NO_IMAGES) for name in _NEED_IMAGES)
    info, recipe = run.info, run.recipe
    mean, std = info["statistics"]["mean"], info["statistics"]["std"]
    try:
        model = restore(run, device)
    except RunError as error:
        verdicts = tuple(unjudged(name, str(error)) for name in ("pixel-statistics", "repeatable-evaluation"))
    else:
        verdicts = judge(
            {
                "pixel-statistics": lambda: pixel_statistics(
                    model.normalize.mean.tolist(),
                    model.normalize.std.tolist(),
                    measured_on=str(info["statistics"].get("measured_on")),
                    train=train,
                ),
                "repeatable-evaluation": lambda: repeatable_evaluation(
                    model, val or train, stored=_stored(run, "val"), bf16=info["precision"] == "bf16"
                ),
            }
        )
    fresh = partial(untrained, recipe, train, mean=mean, std=std, seed=int(info["seed"]))
    return verdicts + judge(
        {
            "small-image-stem": lambda: small_image_stem(fresh(), train.image_shape),
            "blind-start": lambda: blind_start(fresh().to(device), val or train),
            "pixel-order": partial(pixel_order, train),
            "class-balance": partial(class_balance, train),
            "labels-match-images": partial(labels_match_images, train),
            "exact-duplicates": partial(exact_duplicates, train, val),
        }
    )


def _stored(run: Run, split: str) -> Predictions | None:
    try:
        return Predictions.load(run.folder / f"predictions_{split}.npz")
    except RunError:
        return None
