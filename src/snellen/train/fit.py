"""From a recipe and a data set to a finished run: prepare, train, grade on val, write it down."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rich.markup import escape

from snellen.data.dataset import Dataset
from snellen.errors import RunError, TrainingDiverged
from snellen.evaluate.curves import curves_png
from snellen.evaluate.grade import grade
from snellen.evaluate.metrics import smoothing_floor
from snellen.guards.check import check_run
from snellen.guards.copies import check_copies
from snellen.guards.guard import Verdict
from snellen.models.restore import restore
from snellen.recipes.recipe import Recipe
from snellen.runs.environment import describe_environment
from snellen.runs.run import Run, create_run
from snellen.trackers.catalog import Target, targets
from snellen.trackers.follow import again, following
from snellen.train.interrupt import Interrupted
from snellen.train.job import Job, prepare, prepare_again
from snellen.train.judge import ledger_of
from snellen.train.loop import train
from snellen.train.progress import Progress


def fit(
    recipe: Recipe,
    dataset: Dataset,
    *,
    seed: int = 0,
    final: bool = False,
    device: str = "auto",
    precision: str = "auto",
    runs: Path = Path("runs"),
    name: str | None = None,
    track: Sequence[str] = (),
    progress: Progress | None = None,
    weights: str | Path | None = None,
) -> Run:
    """Train a recipe on a data set; returns the run folder with weights, predictions and grades.

    Args:
        recipe: every choice of the training.
        dataset: from `data.catalog.load`.
        seed: of initialisation, order and augmentation; the same seed gives the same bits on the same CPU.
        final: train on train + val, with the recipe's fixed schedule and no selection.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "auto", "fp32" or "bf16".
        runs: folder that holds the runs.
        name: of the run folder; by default DATA-RECIPE-sSEED. A taken name gets -2, -3, …
        track: trackers that follow it, as `trackers.catalog` names them. One that fails does not end the training.
        progress: where to show it; None shows nothing.
        weights: a .safetensors file to begin with, or "pretrained" for what a borrowed model's library publishes.

    Raises:
        SnellenError: with one sentence, whatever is wrong.
        Interrupted: SIGINT or SIGTERM; the run is resumable.
    """
    shown = progress or Progress(quiet=True)
    followers = targets(track, live=True)
    start: Path | Literal["pretrained"] | None = None
    if weights:  # text from the command line, or a path; said in one place for both
        start = "pretrained" if weights == "pretrained" else Path(weights)
    job = prepare(recipe, dataset, seed=seed, final=final, device=device, precision=precision, weights=start)
    _announce(job, shown)
    run_name = name or f"{dataset.name}-{recipe.name}-s{seed}{'-final' if final else ''}"
    run = create_run(runs, run_name, recipe, {**job.describe(), "status": "created"}, describe_environment())
    return _train_and_grade(job, run, shown, followers)


def resume(run: Run, dataset: Dataset, progress: Progress | None = None, *, track: Sequence[str] = ()) -> Run:
    """Go on with an interrupted run; it ends as it would have ended without the interruption.

    Args:
        run: interrupted.
        dataset: the one it began with.
        progress: where to show it; None shows nothing.
        track: trackers that follow it from here on, besides those on this machine that followed it before.

    Raises:
        RunError: it is finished already, or another process trains in its folder.
        DataError: the data are not those it began with.
    """
    shown = progress or Progress(quiet=True)
    if run.info.get("status") == "finished":
        raise RunError(f"{run.folder} is finished. For a longer training, train again with --set epochs=…")
    job = prepare_again(run.info, run.recipe, dataset)
    _announce(job, shown)
    say = partial(_say_plain, shown)
    return _train_and_grade(job, run, shown, again(run, targets(track, live=True), say))


def _say_plain(progress: Progress, sentence: str) -> None:
    progress.say(escape(sentence))


def _train_and_grade(job: Job, run: Run, progress: Progress, followers: Sequence[Target]) -> Run:
    with run.locked(), following(run, followers, partial(_say_plain, progress)) as follow:
        run.update_info(status="training")
        copies = check_copies(job.splits, job.files) if job.loading else ()
        _warn(copies, progress)
        try:
            state = train(job, run, progress, follow)
        except (Interrupted, KeyboardInterrupt):
            run.update_info(status="interrupted")
            progress.end()
            progress.say(f"Stopped. Go on with: snellen train --resume {escape(run.typed)}")
            raise
        except TrainingDiverged:
            run.update_info(status="diverged")
            raise
        finally:
            progress.end()
        smoothing = job.recipe.label_smoothing
        floors = {run.name: smoothing_floor(smoothing, job.splits.train.num_classes)} if smoothing else {}
        curves_png(run.folder / "curves.png", {run.name: run.journal.rows()}, floors=floors)
        results: dict[str, Any] = {"best_epoch": state.best_epoch, "seconds": round(state.seconds, 3)}
        if job.splits.val is not None:
            card = grade(
                restore(run, job.placement.device),
                job.splits.val,
                run.folder,
                tta=job.recipe.tta,
                tta_unsure=job.recipe.tta_unsure,
                bf16=job.placement.precision == "bf16",
            )
            results["val"] = card
            _compare_with_expectation(job, card["accuracy"], progress)
        run.update_info(status="finished", **results)
        check_run(
            run,
            train=job.splits.train,
            val=job.splits.val,
            ledger=ledger_of(run),
            device=job.placement.device,
            before=copies,
        )
    return run


def _warn(verdicts: Sequence[Verdict], progress: Progress) -> None:
    """Say before the training, while there is time to mend it, what is on both sides of a split."""
    for verdict in verdicts:
        if verdict.passed is False:
            progress.say(f"[yellow]{verdict.name}[/yellow] {verdict.severity}: {escape(verdict.evidence)}")
            progress.say(f"  → {escape(verdict.remedy)}")


def _compare_with_expectation(job: Job, accuracy: dict[str, Any], progress: Progress) -> None:
    """Say so where a run's val interval lies wholly outside what the recipe gave when it was measured."""
    expect = job.recipe.expect
    if expect is None or expect.split != "val" or expect.data != job.splits.train.name:
        return
    low, high = expect.accuracy
    if accuracy["high"] < low or accuracy["low"] > high:
        progress.say(
            f"[yellow]Unexpected:[/yellow] val accuracy {100 * accuracy['value']:.1f} %, where {job.recipe.name} gave "
            f"{100 * low:.1f}-{100 * high:.1f} % (n={expect.runs}, {expect.evidence}). Something differs from that run."
        )


def _announce(job: Job, progress: Progress) -> None:
    train, val = job.splits.train, job.splits.val
    judged = f"{len(val):,} val images for every choice" if val else "no val images: final training, nothing is chosen"
    progress.say(f"[bold]{job.recipe.name}[/bold] on {train.name}: {len(train):,} training images, {judged}")
    if job.taken is not None:
        progress.say(escape(str(job.taken)))
    progress.say(
        f"[dim]{job.placement.device}, {job.placement.precision} ({job.placement.reason}); seed {job.seed}[/dim]"
    )
