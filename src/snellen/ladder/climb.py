"""Train what a ladder still lacks: rungs x seeds, each an ordinary run folder.

All rungs of seed 0 come first, then all of seed 1, so that the ladder is whole after each seed. A finished run is
reused and an interrupted one resumed, so the same command goes on wherever it was stopped. Nothing here sees more
than val.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snellen.data.dataset import Dataset
from snellen.data.splits import split
from snellen.errors import RunError, TrainingDiverged
from snellen.ladder.pace import Effort, Pace
from snellen.ladder.plan import Plan, begin, known_plan, require_seeds
from snellen.ladder.reuse import copy_trained
from snellen.ladder.rungs import Rung
from snellen.runs.run import Run, open_run
from snellen.train.fit import fit, resume
from snellen.train.job import prepare
from snellen.train.progress import Progress


def climb(
    rungs: Sequence[Rung],
    dataset: Dataset,
    *,
    title: str,
    folder: Path,
    seeds: int = 3,
    settings: Sequence[str] = (),
    device: str = "auto",
    precision: str = "auto",
    reuse: Sequence[Path] = (),
    quiet: bool = True,
) -> Plan:
    """Train every rung with every seed, as far as that has not been done; returns the plan, all its runs on disk.

    Args:
        rungs: in the order of the table, shared settings already applied.
        dataset: loaded once, used by all runs.
        title: of the ladder, for its table.
        folder: RUNS/ladder-NAME.
        seeds: how many, counted from 0.
        settings: what was applied to all rungs, for the record.
        device: "auto", "cpu", "cuda" or "mps"; chosen once for all runs.
        precision: "auto", "fp32" or "bf16"; likewise.
        reuse: folders of runs from which equal trainings are copied, as `ladder.reuse` says.
        quiet: show nothing.

    Raises:
        SnellenError: with one sentence, whatever is wrong.
        Interrupted: SIGINT or SIGTERM; the same call goes on from there.
    """
    require_seeds(seeds)
    plan = _plan(rungs, dataset, title, folder, seeds, settings, device, precision)
    folder.mkdir(parents=True, exist_ok=True)
    with Run(folder).locked():
        plan = begin(plan)
        todo = [(rung, seed) for seed in plan.seeds for rung in plan.rungs]
        efforts = [Effort(rung.name, rung.recipe.epochs, ready=_is_done(plan, rung, seed)) for rung, seed in todo]
        pace = Pace(efforts, quiet=quiet)
        pace.say(
            f"{plan.title} on {plan.data}: {len(plan.rungs)} rungs x {seeds} seed{'s' * (seeds > 1)} = "
            f"{len(todo)} runs in {folder} ({plan.device}, {plan.precision})"
        )
        for rung, seed in todo:
            run, reused = _train_one(plan, rung, seed, dataset, reuse, pace.run_progress)
            info = run.info
            accuracy = info["val"]["accuracy"]["value"] if info["status"] == "finished" else None
            seconds = info.get("seconds") or sum(row["seconds"] for row in run.journal.rows())
            pace.run_done(seed=seed, seconds=seconds, val_accuracy=accuracy, reused=reused)
    return plan


def _is_done(plan: Plan, rung: Rung, seed: int) -> bool:
    run = Run(plan.folder / plan.run_name(rung, seed))
    return (run.folder / "run.json").exists() and run.info.get("status") in ("finished", "diverged")


def _plan(
    rungs: Sequence[Rung],
    dataset: Dataset,
    title: str,
    folder: Path,
    seeds: int,
    settings: Sequence[str],
    device: str,
    precision: str,
) -> Plan:
    before = known_plan(folder)
    if before is not None:  # what "auto" chose in the first sitting holds in all of them
        device = before["device"] if device == "auto" else device
        precision = before["precision"] if precision == "auto" else precision
    placement = prepare(rungs[0].recipe, dataset, seed=0, device=device, precision=precision).placement
    device, precision = str(placement.device), placement.precision
    for rung in rungs[1:]:  # a rung that cannot be trained is refused now, not in the third hour
        prepare(rung.recipe, dataset, seed=0, device=device, precision=precision)
    splits = split(dataset)
    assert splits.val is not None
    return Plan(
        folder=folder,
        title=title,
        data=dataset.name,
        fingerprints=(splits.train.fingerprint, splits.val.fingerprint),
        rungs=tuple(rungs),
        settings=tuple(settings),
        device=device,
        precision=precision,
        seed_counts=(seeds,),
    )


def _train_one(
    plan: Plan, rung: Rung, seed: int, dataset: Dataset, reuse: Sequence[Path], progress: Progress
) -> tuple[Run, bool]:
    """The run of one rung and seed, and whether it was done before."""
    folder = plan.folder / plan.run_name(rung, seed)
    _clear_stub(folder)
    try:
        if not folder.exists() and not copy_trained(plan, rung, seed, reuse):
            fit(
                rung.recipe,
                dataset,
                seed=seed,
                device=plan.device,
                precision=plan.precision,
                runs=plan.folder,
                name=folder.name,
                progress=progress,
            )
            return open_run(folder), False
        run = checked_run(plan, rung, seed)
        if run.info["status"] in ("finished", "diverged"):  # the same seed would diverge again
            return run, True
        resume(run, dataset, progress)
    except TrainingDiverged:
        progress.end()  # noted in run.json: a rung that fails is a result, and the others go on
    return open_run(folder), False


def checked_run(plan: Plan, rung: Rung, seed: int) -> Run:
    """The run folder of a rung and seed.

    Raises:
        RunError: it is missing, or holds something else than the plan says.
    """
    run = open_run(plan.folder / plan.run_name(rung, seed))
    info = run.info
    found = (run.recipe, info["seed"], info["data"]["train"]["fingerprint"], info["precision"], info["final"])
    if found != (rung.recipe, seed, plan.fingerprints[0], plan.precision, False):
        raise RunError(
            f"{run.folder} was not trained as this ladder's {rung.name!r} with seed {seed}. "
            "Move it away to have it trained again, or climb under another --name."
        )
    return run


def _clear_stub(folder: Path) -> None:
    """Take away a run folder whose making was cut short: without run.json nothing was trained in it."""
    if not folder.is_dir() or (folder / "run.json").exists():
        return
    found = list(folder.iterdir())
    foreign = [
        path.name for path in found if path.name not in ("recipe.json", "environment.json") and ".tmp" not in path.name
    ]
    if foreign:
        raise RunError(f"{folder} is no run folder but holds {foreign[0]}. Move it away, or choose another --name.")
    for path in found:
        path.unlink()
    folder.rmdir()
