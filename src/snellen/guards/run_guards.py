"""Guards that read what a run left behind: its journal, its answers on val, and the ledger. NumPy at most."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

from snellen.data.ledger import Ledger
from snellen.errors import SnellenError
from snellen.guards.guard import GuardResult, judged, unjudged
from snellen.metrics.classification import accuracy, balanced_accuracy, class_scores, majority_baseline
from snellen.metrics.intervals import Rate
from snellen.predict.predictions import Predictions
from snellen.recipes.json_form import rates_times, read_recipe, recipe_hash
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Row

_GAP = 0.05
_LEAST_STEPS = 100
_RISING = 1.1  # val loss this far above its lowest value is more than its noise
_NEAR_CHANCE = 0.25  # of the way from chance to 100 %
_LEAST_PER_CLASS = 10  # val images; a class with fewer may go unanswered by chance


def finite_loss(rows: Sequence[Row], *, status: str, recipe: Recipe, logits_finite: bool = True) -> GuardResult:
    """Whether the training loss stayed a number and went down, and all stored answers on val are finite.

    The status "diverged" is how the trainer ends a run whose loss was NaN or infinite.
    """
    name = "finite-loss"
    remedy = f"Train again with a tenth of the learning rate, {rates_times(recipe, 0.1)}, or warm up: "
    remedy += "--set schedule.warmup_fraction=0.1"
    losses = [row["train/loss"] for row in rows if "train/loss" in row]
    if status == "diverged" or not all(isfinite(loss) for loss in losses) or not logits_finite:
        last = f"the last whole epoch had {losses[-1]:.3g}" if losses else "not one epoch was finished"
        return GuardResult(name, False, f"The loss became NaN or infinite; {last}.", remedy, "error")
    if len(losses) < 2:
        return unjudged(name, "The loss is finite; whether it falls takes two epochs to tell.")
    evidence = f"Training loss {losses[0]:.4f} in the first epoch, {losses[-1]:.4f} in the last."
    return judged(name, losses[-1] <= losses[0], evidence, remedy)


def stuck_at_chance(rows: Sequence[Row], *, val_per_class: Sequence[int], recipe: Recipe) -> GuardResult:
    """Whether val accuracy is above what always naming the largest class gives, as far as so many images can tell.

    It is where the whole interval of the best epoch is, which allows for the choice among them. It is not where no
    epoch is above chance, or the whole interval stays within a quarter of the way from chance to 100 %.
    """
    name = "stuck-at-chance"
    graded = [row for row in rows if "val/accuracy" in row]
    count = sum(val_per_class)
    if not graded or not count:
        return unjudged(name, "No epoch was looked at on val.")
    if graded[-1]["step"] < _LEAST_STEPS:
        return unjudged(name, f"{graded[-1]['step']} steps are too few to ask for more than chance; {_LEAST_STEPS} do.")
    chance = max(val_per_class) / count
    best = Rate(round(count * max(row["val/accuracy"] for row in graded)), count, len(graded))
    last = graded[-1]
    losses = [row["train/loss"] for row in rows]
    evidence = (
        f"val accuracy {best}; the largest class alone gives {100 * chance:.1f} %. "
        f"Clean train accuracy {100 * last['train/accuracy']:.1f} %, training loss {losses[0]:.2f} to {losses[-1]:.2f}."
    )
    if best.low <= chance < best.value and best.high > chance + _NEAR_CHANCE * (1 - chance):
        return unjudged(name, f"{evidence} {count:,} val images are too few to tell the two apart.")
    learnt = losses[-1] < 0.9 * losses[0] or last["train/accuracy"] > chance + 0.1
    return judged(
        name, best.low > chance, evidence,
        "The loss falls and val learns nothing: labels shuffled against images, or pixels in the wrong order. "
        "snellen doctor DATA looks for both."
        if learnt else
        f"Nothing is learnt at all: ten times less learning rate, {rates_times(recipe, 0.1)}, then ten times more, "
        f"{rates_times(recipe, 10)}; if the loss does not move either way, snellen doctor DATA.",
        "error",
    )  # fmt: skip


def overfit_gap(rows: Sequence[Row], *, best_epoch: int | None, recipe: Recipe) -> GuardResult:
    """Whether clean train accuracy is at most 5 points above val, at the epoch whose weights were kept.

    A rule of thumb and no more: a sound ResNet-18 ends near 100 % on train and 95 % on val. What harms is a val loss
    that rises while the training loss falls; then the failure is a warning, else a note.
    """
    name = "overfit-gap"
    graded = [row for row in rows if "val/accuracy" in row]
    if not graded:
        return unjudged(name, "No epoch was looked at on val.")
    row = next((row for row in graded if row["epoch"] == best_epoch), graded[-1])
    gap = row["train/accuracy"] - row["val/accuracy"]
    evidence = (
        f"Epoch {row['epoch']}: {100 * row['train/accuracy']:.1f} % on unaugmented training images, "
        f"{100 * row['val/accuracy']:.1f} % on val, {100 * gap:.1f} points between."
    )
    if gap <= _GAP:
        return GuardResult(name, True, evidence)
    lowest = min(graded, key=lambda each: float(each["val/loss"]))
    last = graded[-1]["val/loss"]
    rising = last > _RISING * lowest["val/loss"]
    if rising:
        evidence += f" Val loss rose from {lowest['val/loss']:.2f} (epoch {lowest['epoch']}) to {last:.2f}."
    meaning = "" if rising else "Not a fault by itself: a converged net may know its training images by heart. "
    return GuardResult(name, False, evidence, meaning + _regularise(recipe), "warning" if rising else "note")


def _regularise(recipe: Recipe) -> str:
    steps = []
    if recipe.augment.crop_pixels == 0 and recipe.augment.resized_crop == 0:
        steps.append("augmentation: --set augment.crop_pixels=4")
    if recipe.augment.flip == "none":
        steps.append("--set augment.flip=random, unless a mirrored picture means something else, as letters do")
    if recipe.optimizer.weight_decay == 0:
        steps.append("weight decay: --set optimizer.weight_decay=5e-4")
    if recipe.label_smoothing == 0:
        steps.append("label smoothing: --set label_smoothing=0.1")
    if not steps and not (recipe.augment.mixup or recipe.augment.cutmix):
        return (
            "Augmentation, weight decay and label smoothing are on already: fewer epochs, a smaller net, more data, or "
            "--set augment.cutmix=1, which wants more epochs."
        )
    if not steps:
        return "All that a recipe has against it is on already: fewer epochs, a smaller net or more data."
    return "In this order, one at a time, judged on val: " + "; ".join(steps) + "."


def class_answers(predictions: Predictions) -> GuardResult:
    """Whether every class is answered, and accuracy is neither the largest class's share nor far above the mean recall.

    Args:
        predictions: of val.
    """
    name = "class-answers"
    plain, balanced = accuracy(predictions), balanced_accuracy(predictions)
    largest, share = majority_baseline(predictions)
    scores = class_scores(predictions)
    silent = [row.name for row in scores if row.support >= _LEAST_PER_CLASS and not row.predicted]
    evidence = (
        f"Accuracy {plain}, mean over classes {100 * balanced:.1f} %, always '{largest}' {100 * share.value:.1f} %; "
        + (f"never answered: {', '.join(silent)}." if silent else "every class is answered.")
    )
    uneven = bool(silent) or plain.value <= share.value or plain.value - balanced > _GAP
    if not uneven and plain.low <= share.value:
        return unjudged(name, f"{evidence} {plain.n:,} val images are too few to tell accuracy from that share.")
    return judged(
        name, not uneven, evidence,
        "Quote the mean over classes, not accuracy, and look at the rare ones: snellen evaluate RUN --per-class. "
        "Then train longer (--set epochs=…), or collect more pictures of them.",
    )  # fmt: skip


def used_once(ledger: Ledger, *, data: str, recipe: Recipe, started: str, runs: Path) -> GuardResult:
    """Whether at most one choice was judged on a test set, and this run was not made after another one's look.

    Several looks at the same weights, and several seeds of one recipe in one look, are one choice. A further seed of a
    recipe that was looked at is not tuned: recipes are compared by what they do, whatever they are called.
    `started` is when this run began, ISO 8601; `runs` the folder around it.
    """
    name = "test-once"
    looks = [line for line in ledger.lines() if line.kind == "intent" and line.content["test_set"]["name"] == data]
    problems = ledger.problems()
    if problems:
        return GuardResult(
            name, False, f"{ledger.path} is not whole: {problems[0]}.",
            "Bring the missing lines back from version control or another machine: snellen ledger --merge OTHER",
            "error",
        )  # fmt: skip
    if not looks:
        return GuardResult(name, True, f"Nobody has looked at {data}'s test set, as far as {ledger.path} knows.")
    numbers = ledger.look_numbers()
    number = max(numbers[line.hash] for line in looks)
    before = [line for line in looks if _earlier(line.content["time"], started)]
    own = recipe_hash(recipe)
    tuned = [line for line in before if any(_recipe_hash_of(one, runs) != own for one in line.content["candidates"])]
    evidence = f"{ledger.path} knows {number} {'choice' if number == 1 else 'choices'} looked at on {data}'s test set."
    if tuned:
        first = tuned[0].content
        evidence += f" This run began after a look at another recipe ({first['candidates'][0]['recipe']})."
    return judged(
        name, number == 1 and not tuned, evidence,
        "Say it beside the number: chosen among the looks, optimistic by a few tenths of a point. Choose on val: "
        "snellen evaluate RUN; only fresh test images make it a first look again.",
    )  # fmt: skip


def _earlier(one: str, other: str) -> bool:
    try:
        return datetime.fromisoformat(one) < datetime.fromisoformat(other)
    except (TypeError, ValueError):
        return False  # a time that cannot be read accuses nobody


def _recipe_hash_of(candidate: dict[str, Any], runs: Path) -> str | None:
    if "recipe_sha256" in candidate:
        return str(candidate["recipe_sha256"])
    try:  # a line of before 0.1 names the run only; its folder may still be there
        return recipe_hash(read_recipe(runs / Path(str(candidate.get("run", ""))).name / "recipe.json"))
    except SnellenError:
        return None
