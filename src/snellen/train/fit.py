"""From a recipe and a data set to a finished run: prepare, train, grade on val, write it down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
from snellen.trackers.follow import Following, again, following
from snellen.train.interrupt import Interrupted
from snellen.train.job import Job, prepare, prepare_again
from snellen.train.judge import ledger_of
from snellen.train.loop import train
from snellen.train.progress import Progress
from snellen.train.shared_run import begun_by, folder_of_its_own, hand_out, require_same
from snellen.train.state import TrainingState
from snellen.train.workers import Workers, launched


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

    Under torchrun every worker calls this and takes part; the first one writes, and all return the same folder. Started
    again after one of them has died, they go on with the run they had begun.

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
    workers = launched()
    shown = _shown(progress, workers)
    followers = targets(track, live=True)
    begun = begun_by(workers, runs, recipe, seed)
    if begun is not None:
        return resume(begun, dataset, shown, track=track)
    place, start = workers.device(device), _start(weights)
    with workers.one_before_the_others():
        job = prepare(recipe, dataset, seed=seed, final=final, device=place, precision=precision, weights=start)
    job = replace(job, placement=replace(job.placement, precision=workers.told_json(job.placement.precision)))
    run_name = name or f"{dataset.name}-{recipe.name}-s{seed}{'-final' if final else ''}"
    return _train_and_grade(job, _created(job, runs, run_name, shown, workers), shown, followers, workers)


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
    workers = launched()
    shown = _shown(progress, workers)
    if run.info.get("status") == "finished":
        raise RunError(f"{run.folder} is finished. For a longer training, train again with --set epochs=…")
    with workers.one_before_the_others():
        job = prepare_again(
            {**run.info, "device": workers.device(_kind(run.info["device"], workers))}, run.recipe, dataset
        )
    followers = targets(track, live=True)
    if workers.first:
        _announce(job, shown)
        followers = again(run, followers, partial(_say_plain, shown))
    return _train_and_grade(job, run, shown, followers, workers)


def _created(job: Job, runs: Path, name: str, progress: Progress, workers: Workers) -> Run:
    """A new run folder, made by the first worker; the others are told which."""
    folder = ""
    if workers.first:
        _announce(job, progress)
        info = {**job.describe(), **workers.describe(), "status": "created"}
        folder = str(create_run(runs, name, job.recipe, info, describe_environment()).folder)
    return Run(Path(workers.told_json(folder)))


def _start(weights: str | Path | None) -> Path | Literal["pretrained"] | None:
    """Text from the command line, or a path; said in one place for both."""
    if not weights:
        return None
    return "pretrained" if weights == "pretrained" else Path(weights)


def _kind(device: str, workers: Workers) -> str:
    """The device without its number, where each of several workers gets one anew."""
    return device.split(":")[0] if workers.count > 1 else device


def _shown(progress: Progress | None, workers: Workers) -> Progress:
    return progress if progress is not None and workers.first else Progress(quiet=True)


def _say_plain(progress: Progress, sentence: str) -> None:
    progress.say(escape(sentence))


def _train_and_grade(job: Job, run: Run, progress: Progress, followers: Sequence[Target], workers: Workers) -> Run:
    if workers.first:
        with run.locked(), following(run, followers, partial(_say_plain, progress)) as follow:
            run.update_info(status="training", **workers.describe())
            copies = check_copies(job.splits, job.files) if job.loading else ()
            _warn(copies, progress)
            hand_out(run, workers)
            state = _trained(job, run, progress, follow, workers)
            _graded(job, run, progress, state, copies)
    else:
        with folder_of_its_own(workers) as own, following(own, (), partial(_say_plain, progress)) as nobody:
            require_same(job, own)
            train(job, own, progress, nobody, workers)
    workers.wait()  # the run is whole when this returns, whichever worker asks
    return run


def _trained(job: Job, run: Run, progress: Progress, follow: Following, workers: Workers) -> TrainingState:
    """Train, and leave the reason in `run.json` where it does not come to its end."""
    try:
        return train(job, run, progress, follow, workers)
    except (Interrupted, KeyboardInterrupt):
        run.update_info(status="interrupted")
        progress.end()
        progress.say(f"Stopped. Go on with: snellen train --resume {escape(str(run.folder))}")
        raise
    except TrainingDiverged:
        run.update_info(status="diverged")
        raise
    except RuntimeError as error:
        raise workers.explained(error, run.folder) from error
    finally:
        progress.end()


def _graded(job: Job, run: Run, progress: Progress, state: TrainingState, copies: Sequence[Verdict]) -> None:
    """Curves, the card on val, the guards; then the run is finished."""
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
