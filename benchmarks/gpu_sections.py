"""What the GPU report measures, section by section; each yields its lines as they are done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

from benchmarks import peers
from benchmarks.lesson import lesson_epoch, our_epoch
from benchmarks.timed_training import TimedTraining, answer, train_timed, weights_sha256
from snellen.bench import augment, predict, step
from snellen.bench.catalog import Settings
from snellen.bench.process import run_python
from snellen.bench.protocol import Conditions, Measurement, Timing, conditions_here
from snellen.data.dataset import Dataset
from snellen.data.ledger import Candidate, Ledger
from snellen.metrics.intervals import mean_over_seeds
from snellen.models.device import choose_device
from snellen.predict.predictions import Predictions
from snellen.recipes.json_form import recipe_hash
from snellen.recipes.recipe import Recipe
from snellen.version import VERSION


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one GPU report does.

    Attributes:
        dataset: CIFAR-10, or letters in its place.
        data: its folder, for the cold processes; None for letters.
        recipes: by name: "sprint", "resnet18" and others for the steps.
        settings: device and repeats.
        warm_seeds: final trainings for the clock.
        val_seeds: trainings for an accuracy on val.
        cold_runs: processes.
        long_runs: trainings of marathon.
        reason: the line in the ledger with which test may be opened, or None.
        ledger: its file.
        until: when the present section has to stop, on `time.monotonic`'s clock.
    """

    dataset: Dataset
    data: Path | None
    recipes: Mapping[str, Recipe]
    settings: Settings
    warm_seeds: int
    val_seeds: int
    cold_runs: int
    long_runs: int
    reason: str | None
    ledger: Path
    until: float

    @property
    def expired(self) -> bool:
        """Whether this section's time is out."""
        return time.monotonic() >= self.until


def steps(plan: Plan) -> Iterator[Measurement]:
    """Training steps per model, precision and image size."""
    return step.measure(plan.settings, list(plan.recipes.values()))


def warm(plan: Plan) -> Iterator[Measurement]:
    """Final trainings of sprint in this process: prepare, train, evaluate; then, with a reason, one look at test."""
    recipe = plan.recipes["sprint"]
    conditions = _conditions(plan, recipe)
    _train(plan, recipe, seed=plan.warm_seeds, final=True)  # the first one is not warm
    runs = list(_trainings(plan, recipe, seeds=plan.warm_seeds, final=True))
    accuracies, note = _look(plan, runs)
    conditions = replace(conditions, precision=runs[0].training.setup.compute.precision).after()
    timing = Timing(tuple(run.seconds for run in runs), conditions)
    figures = {
        "seconds": timing.median,
        "p10": timing.p10,
        "p90": timing.p90,
        "train only": Timing(tuple(run.train_seconds for run in runs), conditions).median,
        "seeds": float(len(runs)),
        **_accuracy(accuracies),
    }
    yield Measurement("warm", f"{recipe.name}, train + val", figures, timing.conditions, timing, note=note)


def val(plan: Plan) -> Iterator[Measurement]:
    """The same recipe on the train split, graded on val: no clock, only whether it still learns."""
    recipe = plan.recipes["sprint"]
    conditions = _conditions(plan, recipe)
    accuracies = [_share_right(run.answers) for run in _trainings(plan, recipe, seeds=plan.val_seeds, final=False)]
    figures = {"seeds": float(len(accuracies)), **_accuracy(accuracies)}
    yield Measurement("val", f"{recipe.name} on {plan.dataset.name}, accuracy on val", figures, conditions.after())


def longer(plan: Plan) -> Iterator[Measurement]:
    """A few trainings of marathon on the train split, graded on val: how long one takes and where it comes out."""
    recipe = plan.recipes["marathon"]
    conditions = _conditions(plan, recipe)
    runs = list(_trainings(plan, recipe, seeds=plan.long_runs, final=False))
    timing = Timing(tuple(run.seconds for run in runs), conditions.after())
    figures = {
        "seconds": timing.median,
        "seeds": float(len(runs)),
        **_accuracy([_share_right(run.answers) for run in runs]),
    }
    note = "nothing warmed up: the first training is a cold one"
    yield Measurement("longer", f"{recipe.name}, train, accuracy on val", figures, timing.conditions, timing, note=note)


def cold(plan: Plan) -> Iterator[Measurement]:
    """Whole processes: interpreter, import, data, training, evaluation."""
    recipe = plan.recipes["sprint"]
    changes = [f"{name}={json.dumps(getattr(recipe, name))}" for name in ("epochs", "batch_size", "widths")]
    words = ["-m", "benchmarks.timed_training", "--recipe", "sprint", "--set", *changes]
    words += ["--letters", str(len(plan.dataset.train))] if plan.data is None else ["--data", str(plan.data)]
    conditions = conditions_here(batch=recipe.batch_size)
    whole, inside = [], []
    for seed in range(plan.cold_runs):
        left = max(1.0, plan.until - time.monotonic())
        done = run_python([*words, "--seed", str(seed), "--device", plan.settings.device], timeout_seconds=left)
        whole.append(done.seconds)
        inside.append(float(json.loads(done.out)["warm_part_seconds"]))
        if plan.expired:
            break
    timing = Timing(tuple(whole), conditions.after())
    outside = Timing(tuple(a - b for a, b in zip(whole, inside, strict=True)), conditions)
    figures = {"seconds": timing.median, "of it start, import, data": outside.median, "processes": float(timing.n)}
    yield Measurement("cold", f"{recipe.name}, train + val, whole process", figures, timing.conditions, timing)


def augmentation(plan: Plan) -> Iterator[Measurement]:
    """Batches per second, their share of a step, and peers."""
    recipes = [plan.recipes["sprint"], plan.recipes["resnet18"]]
    yield from augment.measure(plan.settings, recipes)
    for recipe in recipes:
        yield from peers.measure(recipe, device=choose_device(plan.settings.device), settings=plan.settings)


def epoch(plan: Plan) -> Iterator[Measurement]:
    """One epoch of resnet18: ours, and the lesson's script with its loader, where torchvision is at hand."""
    recipe = plan.recipes["resnet18"]
    device = choose_device(plan.settings.device)
    conditions = _conditions(plan, recipe)
    images = plan.dataset.train
    ours = our_epoch(recipe, images, device)
    figures: dict[str, float | None] = {"ours s/epoch": ours, "lesson s/epoch": None, "ours is × as fast": None}
    note = ""
    try:
        theirs, note = lesson_epoch(recipe, images, device, until=plan.until)
    except peers.Missing as missing:
        note = f"the lesson's script: {missing}"
    else:
        figures |= {"lesson s/epoch": theirs, "ours is × as fast": theirs / ours}
    yield Measurement("epoch", f"{recipe.name}, {len(images):,} images", figures, conditions.after(), note=note)


def answers(plan: Plan) -> Iterator[Measurement]:
    """Predictions per second, beside plain PyTorch."""
    return predict.measure(plan.settings, [plan.recipes["resnet18"], plan.recipes["sprint"]])


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        measure: yields its lines.
        share: of the whole time it may take at most, a fraction.
        many: whether it yields many short lines, so that it can be stopped between two; the others look at the
            clock themselves.
    """

    measure: Callable[[Plan], Iterator[Measurement]]
    share: float
    many: bool = False


SECTIONS: dict[str, Section] = {
    "step": Section(steps, 0.10, many=True),
    "warm": Section(warm, 0.32),
    "cold": Section(cold, 0.10),
    "longer": Section(longer, 0.14),
    "val": Section(val, 0.08),
    "augment": Section(augmentation, 0.08, many=True),
    "epoch": Section(epoch, 0.12),
    "predict": Section(answers, 0.06, many=True),
}
"""In the order of importance: when time runs out, the last ones are left out."""


def _conditions(plan: Plan, recipe: Recipe) -> Conditions:
    return conditions_here(device=choose_device(plan.settings.device), precision="auto", batch=recipe.batch_size)


def _trainings(plan: Plan, recipe: Recipe, *, seeds: int, final: bool) -> Iterator[TimedTraining]:
    """One training a seed, at least one, until the section's time is out."""
    for seed in range(seeds):
        yield _train(plan, recipe, seed=seed, final=final)
        if plan.expired:
            break


def _train(plan: Plan, recipe: Recipe, *, seed: int, final: bool) -> TimedTraining:
    return train_timed(recipe, plan.dataset, seed=seed, final=final, device=plan.settings.device, precision="auto")


def _look(plan: Plan, runs: list[TimedTraining]) -> tuple[list[float], str]:
    """Accuracies on test, one ledger line for all runs; none where no reason was given."""
    if plan.reason is None or plan.dataset.test is None:
        return [], "test stays sealed: no --reason was given"
    ledger, reason, recipe = Ledger(plan.ledger), plan.reason, plan.recipes["sprint"]
    candidates = [
        Candidate(
            f"bare-{recipe.name}-s{run.training.setup.seed}",
            weights_sha256(run.training.graded),
            recipe.name,
            run.training.setup.seed,
            recipe_hash(recipe),
        )
        for run in runs
    ]
    intents: list[str] = []
    images = plan.dataset.test.open(
        lambda known: intents.append(
            ledger.intend(
                known,
                candidates,
                tta=recipe.tta,
                tta_fraction=recipe.tta_fraction,
                reason=reason,
                version=VERSION,
            )
        )
    )
    said = [answer(run.training, images) for run in runs]
    results = [
        {
            "run": candidate.run,
            "weights": candidate.weights,
            "n": len(one),
            "hits": int(one.correct.sum()),
            "hits_tta": int(one.with_tta().correct.sum() if one.tta_logits is not None else one.correct.sum()),
        }
        for candidate, one in zip(candidates, said, strict=True)
    ]
    ledger.record(intents[0], results)
    return [_share_right(one) for one in said], f"test, look {ledger.look_number(intents[0])}: {plan.ledger.name}"


def _share_right(answers: Predictions) -> float:
    judged = answers if answers.tta_logits is None else answers.with_tta()
    return float(judged.correct.mean())


def _accuracy(accuracies: list[float]) -> dict[str, float | None]:
    if not accuracies:
        return {"accuracy %": None, "standard error": None}
    summary = mean_over_seeds(accuracies)
    error = None if summary.sd is None else 100 * summary.sd / sqrt(summary.n)
    return {"accuracy %": 100 * summary.mean, "standard error": error}
