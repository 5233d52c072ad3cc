"""From a recipe and a data set to a finished run: prepare, train, grade on val, write it down."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snellen.data.dataset import Dataset
from snellen.data.run_images import images_of
from snellen.errors import RunError, StorageError, TrainingDiverged
from snellen.evaluate.test_set import ledger_of
from snellen.evaluate.val import grade
from snellen.guards.check import check_run
from snellen.guards.duplicates import check_duplicates
from snellen.guards.guard import GuardResult
from snellen.metrics.learning_curves import curve_of
from snellen.models.device import threads
from snellen.models.weights import restore
from snellen.predict.familiarity import features_heard, first_heard, measure_familiarity
from snellen.predict.predictions import stored_predictions
from snellen.recipes.recipe import Recipe
from snellen.runs.environment import describe_environment
from snellen.runs.run import Run, create_run, require_place
from snellen.show.curves import curves_png
from snellen.show.grade_pictures import draw_grades
from snellen.show.progress import Progress
from snellen.trackers.callbacks import TrackerCallbacks, reattach
from snellen.trackers.tracker import Target, targets
from snellen.train.ddp import Workers, begun_by, folder_of_its_own, hand_out, launched, require_same
from snellen.train.interrupt import StopRequest
from snellen.train.recorder import Recorder
from snellen.train.setup import TrainingSetup, begin_with, prepare, require_start, resume_setup
from snellen.train.training import Training, train


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """What is chosen for one training beside its recipe and its data.

    Attributes:
        seed: of initialisation, order and augmentation; the same seed gives the same bits on the same CPU.
        final: train on train + val, with the recipe's fixed schedule and no selection.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "auto", "fp32" or "bf16".
        weights: a .safetensors file to begin with, or "pretrained" for those that timm or torchvision publish.
        runs: folder that holds the runs.
        name: of the run folder; by default DATA-RECIPE-sSEED. A taken name gets -2, -3, …
        track: trackers that follow it, as `trackers.tracker` names them. One that fails does not end the training.
    """

    seed: int = 0
    final: bool = False
    device: str = "auto"
    precision: str = "auto"
    weights: str | Path | None = None
    runs: Path = Path("runs")
    name: str | None = None
    track: Sequence[str] = ()


def fit(recipe: Recipe, dataset: Dataset, options: FitOptions | None = None, progress: Progress | None = None) -> Run:
    """Train a recipe on a data set; returns the run folder with weights, predictions and grades.

    Under torchrun every worker calls this; the first writes, all return its folder, and restarted ones go on with it.

    Args:
        recipe: every choice of the training.
        dataset: from `data.catalog.load`.
        options: seed, device, place and the like.
        progress: where to show it; None shows nothing.

    Raises:
        SnellenError: with one sentence, whatever is wrong.
        Interrupted: SIGINT, SIGTERM or SIGHUP; the run is resumable.
    """
    chosen, workers = options or FitOptions(), launched()
    shown = _shown(progress, workers)
    require_start(recipe, chosen.weights)
    followers = targets(chosen.track, live=True)
    begun = begun_by(workers, chosen.runs, recipe, chosen.seed)
    if begun is not None:
        return resume(begun, dataset, shown, track=chosen.track)
    require_place(chosen.runs)
    device = workers.device(chosen.device)
    with workers.one_before_the_others():
        setup = prepare(
            recipe, dataset, seed=chosen.seed, final=chosen.final, device=device, precision=chosen.precision
        )
        setup = begin_with(setup, chosen.weights) if chosen.weights else setup
    agreed = workers.broadcast(setup.compute.precision)
    setup = replace(setup, compute=replace(setup.compute, precision=agreed))
    training = Training(setup, workers)  # what it refuses leaves no folder behind
    name = chosen.name or f"{dataset.name}-{recipe.name}-s{chosen.seed}{'-final' if chosen.final else ''}"
    run = _created(setup, chosen.runs, name, shown, workers)
    with _held(run, workers):
        return _train_and_grade(training, run, shown, followers, workers)


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
        StorageError: its folder cannot be written.
    """
    workers = launched()
    shown = _shown(progress, workers)
    _require_unfinished(run)
    with _held(run, workers), threads(run.info.get("threads")):  # or the last bits would differ
        if workers.first:
            _require_unfinished(run)  # whoever held the lock until now may have come to the end
        # Each of several workers gets the number of its device anew.
        began_on = run.info["device"]
        place = workers.device(began_on.split(":")[0] if workers.count > 1 else began_on)
        with workers.one_before_the_others():
            own = images_of(run, dataset).dataset
            setup = resume_setup({**run.info, "device": place}, run.recipe, own)
        followers = targets(track, live=True)
        if workers.first:
            _announce(setup, shown)
            followers = reattach(run, followers, shown.say)
        return _train_and_grade(Training(setup, workers), run, shown, followers, workers)


def _require_unfinished(run: Run) -> None:
    info = run.info
    if info.get("status") == "finished":
        raise RunError(f"{run.folder} is finished. For longer: snellen train --continue {run.typed} --set epochs=+10")
    if ("start" in info or "continues" in info) and not (run.folder / "resume" / "state.safetensors").exists():
        raise RunError(
            f"{run.folder} was stopped before the weights it was to begin with were in it, and would go on without "
            "them. Train again with --weights, or --continue, as it was begun."
        )


def _held(run: Run, workers: Workers) -> AbstractContextManager[None]:
    """The run's lock, for the one worker that writes."""
    return run.locked() if workers.first else nullcontext()


def _created(setup: TrainingSetup, runs: Path, name: str, progress: Progress, workers: Workers) -> Run:
    """A new run folder, made by the first worker; the others are told which."""
    folder = ""
    if workers.first:
        _announce(setup, progress)
        info = {**setup.describe(), **workers.describe(), "status": "created"}
        folder = str(create_run(runs, name, setup.recipe, info, describe_environment()).folder)
    return Run(Path(workers.broadcast(folder)))


def _shown(progress: Progress | None, workers: Workers) -> Progress:
    return progress if progress is not None and workers.first else Progress(quiet=True)


def _train_and_grade(
    training: Training, run: Run, progress: Progress, followers: Sequence[Target], workers: Workers
) -> Run:
    try:
        if workers.first:
            _lead(training, run, progress, followers, workers)
        else:
            _take_part(training, workers)
        workers.wait()  # the run is whole when this returns, whichever worker asks
        run.refresh()
    except RuntimeError as error:
        raise workers.explained(error, run.typed) from error
    return run


def _take_part(training: Training, workers: Workers) -> None:
    """The training as every worker but the first sees it: nothing that it writes is kept."""
    quiet = Progress(quiet=True)
    with folder_of_its_own(workers) as own, TrackerCallbacks(own, (), quiet.say) as nobody:
        require_same(training.setup, own)
        train(training, Recorder(training, own, quiet, nobody))


def _lead(training: Training, run: Run, progress: Progress, followers: Sequence[Target], workers: Workers) -> None:
    """Train and grade in the run's folder, and leave the reason there where it does not come to its end."""
    with TrackerCallbacks(run, followers, progress.say) as follow, StopRequest() as stop:
        run.update_info(status="training", **workers.describe())
        try:
            with stop.at_once():  # the loop, which has something to save, does otherwise
                setup = training.setup
                copies = check_duplicates(setup.splits) if "loading" in setup.read_as else ()
                _warn(copies, progress)
                hand_out(run, workers)
                train(training, Recorder(training, run, progress, follow))
                _grade(training, run, copies, progress)
        except KeyboardInterrupt:
            run.update_info(status="interrupted")
            progress.end()
            progress.say(f"Stopped. Go on with: snellen train --resume {run.typed}")
            raise
        except TrainingDiverged:
            run.update_info(status="diverged")
            raise
        except StorageError:
            progress.end()
            progress.say(f"When it can be written again: snellen train --resume {run.typed}")
            raise
        except Exception:
            run.update_info(status="failed")
            raise
        finally:
            progress.end()
        run.update_info(status="finished")


def _grade(training: Training, run: Run, copies: Sequence[GuardResult], progress: Progress) -> None:
    """Write grades, results and pictures into the folder of a run whose training has ended."""
    setup, compute = training.setup, training.setup.compute
    results: dict[str, Any] = {"best_epoch": training.best_epoch, "seconds": round(training.seconds, 3)}
    if training.steps_done < training.steps:
        after, planned = training.steps_done // training.per_epoch, training.steps / training.per_epoch
        results["stopped_after_epoch"] = after
        progress.say(
            f"Ended after epoch {after} of the {planned:g} that its schedule is made for: the last "
            f"{after - training.best_epoch} brought no better val accuracy."
        )
    if setup.splits.val is not None:
        model, val = restore(run, compute.device), setup.splits.val
        with features_heard(model) as heard:
            results["val"] = grade(run, model, val, bf16=compute.bf16)
        features = first_heard(heard, len(val))
        if familiar := measure_familiarity(model, setup.splits.train, features, seed=setup.seed, bf16=compute.bf16):
            familiar.save(run)
        _compare_with_expectation(setup, results["val"]["accuracy"], progress)
    run.update_info(**results)
    _draw(run, progress)
    # Before the run calls itself finished: one that is stopped in here is judged when it is resumed.
    check_run(run, setup.splits, ledger=ledger_of(run), device=compute.device, before=copies)


def _draw(run: Run, progress: Progress) -> None:
    """Draw curves and grades into the run's folder. A run whose pictures cannot be drawn is a finished run."""
    try:
        curves_png(run.folder / "curves.png", [curve_of(run.name, [run])])
        val = stored_predictions(run, "val")
        if val is not None:
            draw_grades(val, run.folder, val=val)
    except StorageError:
        raise
    except Exception as error:  # from the depths of a drawing library
        progress.say(f"{type(error).__name__}: {error}", lead="No pictures:", style="yellow")


def _warn(results: Sequence[GuardResult], progress: Progress) -> None:
    """Say before the training, while there is time to mend it, what is on both sides of a split."""
    for result in results:
        if result.passed is False:
            progress.say(f"{result.severity}: {result.evidence}", lead=result.name, style="yellow")
            progress.say(f"  → {result.remedy}")


def _compare_with_expectation(setup: TrainingSetup, accuracy: dict[str, Any], progress: Progress) -> None:
    """Say so where a run's val interval lies wholly outside what the recipe gave when it was measured."""
    recipe, expect = setup.recipe, setup.recipe.expect
    if expect is None or expect.split != "val" or expect.data != setup.splits.train.name:
        return
    low, high = expect.accuracy
    if accuracy["high"] < low or accuracy["low"] > high:
        progress.say(
            f"val accuracy {100 * accuracy['value']:.1f} %, where {recipe.name} gave {100 * low:.1f}-{100 * high:.1f} "
            f"% (n={expect.runs}, {expect.evidence}). Something differs from that run.",
            lead="Unexpected:",
            style="yellow",
        )


def _announce(setup: TrainingSetup, progress: Progress) -> None:
    train, val = setup.splits.train, setup.splits.val
    judged = f"{len(val):,} val images for every choice" if val else "no val images: final training, nothing is chosen"
    progress.say(f"on {train.name}: {len(train):,} training images, {judged}", lead=setup.recipe.name, style="bold")
    if setup.load_report is not None:
        progress.say(str(setup.load_report))
    compute = setup.compute
    progress.say(f"{compute.device}, {compute.precision} ({compute.reason}); seed {setup.seed}", style="dim")
