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
from snellen.ladder.engines import EngineName, engine
from snellen.ladder.one_run import Trained, is_done
from snellen.ladder.plan import Plan, begin, known_plan, require_seeds
from snellen.ladder.progress import Effort, Pace
from snellen.ladder.rungs import Rung
from snellen.runs.atomic import make_folder
from snellen.runs.run import Run
from snellen.train.setup import prepare


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
    on: EngineName = "local",
    address: str | None = None,
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
        on: the engine: "local" trains here one after the other, "ray" on the workers of a cluster.
        address: of a Ray cluster; None starts Ray on this machine, for this ladder.
        quiet: show nothing.

    Raises:
        SnellenError: with one sentence, whatever is wrong.
        Interrupted: SIGINT, SIGTERM or SIGHUP; the same call goes on from there.
    """
    require_seeds(seeds)
    plan = _plan(rungs, dataset, title, folder, seeds, settings, device, precision)
    make_folder(folder)
    with Run(folder).locked():
        plan = begin(plan)
        todo = [(rung, seed) for seed in plan.seeds for rung in plan.rungs]
        efforts = [Effort(rung.name, rung.recipe.epochs, ready=is_done(plan, rung, seed)) for rung, seed in todo]
        needed = on if not all(effort.ready for effort in efforts) else "local"
        with engine(needed, address=address, device=plan.device) as place:
            pace = Pace(efforts, at_once=place.at_once, quiet=quiet)
            pace.say(_opening(plan, len(todo), place.at_once))
            for trained in place.train(plan, dataset, todo, reuse, pace.run_progress):
                _say_done(pace, trained)
    return plan


def _opening(plan: Plan, runs: int, at_once: int) -> str:
    seeds = f"{len(plan.seeds)} seed{'s' * (len(plan.seeds) > 1)}"
    beside = f", {at_once} at once" if at_once > 1 else ""
    return (
        f"{plan.title} on {plan.data}: {len(plan.rungs)} rungs x {seeds} = {runs} runs in {plan.folder} "
        f"({plan.device}, {plan.precision}{beside})"
    )


def _say_done(pace: Pace, trained: Trained) -> None:
    info = trained.run.info
    pace.run_done(
        trained.rung.name,
        seed=trained.seed,
        seconds=info.get("seconds") or sum(row["seconds"] for row in trained.run.journal.rows()),
        val_accuracy=info["val"]["accuracy"]["value"] if info["status"] == "finished" else None,
        reused=trained.reused,
    )


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
