"""Train what a ladder still lacks: rungs x seeds, each an ordinary run folder.

All rungs of seed 0 come first, then all of seed 1, so that the ladder is whole after each seed. A finished run is
reused and an interrupted one resumed, so the same command goes on wherever it was stopped. Nothing here sees more
than val.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from snellen.data.dataset import Dataset
from snellen.data.splits import split
from snellen.ladder.engines import EngineName, engine
from snellen.ladder.one_run import Trained, is_done
from snellen.ladder.plan import Plan, begin, known_plan, require_seeds
from snellen.ladder.rungs import Ladder
from snellen.runs.atomic import make_folder
from snellen.runs.run import Run
from snellen.show.progress import Progress
from snellen.train.setup import prepare


def plan_ladder(
    ladder: Ladder,
    dataset: Dataset,
    folder: Path,
    *,
    seeds: int = 3,
    device: str = "auto",
    precision: str = "auto",
) -> Plan:
    """What is going to be trained. Nothing is written, and a rung that cannot be trained is refused now.

    Args:
        ladder: its rungs, shared settings applied.
        dataset: loaded once, used by all runs.
        folder: RUNS/ladder-NAME. What "auto" chose in the first sitting there holds in all of them.
        seeds: how many, counted from 0.
        device: "auto", "cpu", "cuda" or "mps"; chosen once for all runs.
        precision: "auto", "fp32" or "bf16"; likewise.

    Raises:
        SnellenError: with one sentence, whatever is wrong.
    """
    require_seeds(seeds)
    before = known_plan(folder)
    if before is not None:
        device = before["device"] if device == "auto" else device
        precision = before["precision"] if precision == "auto" else precision
    placement = prepare(ladder.rungs[0].recipe, dataset, seed=0, device=device, precision=precision).placement
    device, precision = str(placement.device), placement.precision
    for rung in ladder.rungs[1:]:  # not in the third hour
        prepare(rung.recipe, dataset, seed=0, device=device, precision=precision)
    splits = split(dataset)
    assert splits.val is not None
    return Plan(
        folder=folder,
        title=ladder.title,
        data=dataset.name,
        fingerprints=(splits.train.fingerprint, splits.val.fingerprint),
        rungs=ladder.rungs,
        settings=ladder.settings,
        device=device,
        precision=precision,
        seed_counts=(seeds,),
    )


def run_ladder(
    plan: Plan,
    dataset: Dataset,
    *,
    reuse: Sequence[Path] = (),
    on: EngineName = "local",
    address: str | None = None,
    quiet: bool = True,
) -> Plan:
    """Train every rung with every seed, as far as that has not been done; all runs of the plan returned are on disk.

    Args:
        plan: from `plan_ladder`.
        dataset: the one it was made for.
        reuse: folders of runs from which equal trainings are copied, as `one_run` says.
        on: the engine: "local" trains here one after the other, "ray" on the workers of a cluster.
        address: of a Ray cluster; None starts Ray on this machine, for this ladder.
        quiet: show nothing.

    Raises:
        SnellenError: with one sentence, whatever is wrong.
        Interrupted: SIGINT, SIGTERM or SIGHUP; the same call goes on from there.
    """
    make_folder(plan.folder)
    with Run(plan.folder).locked():
        plan = begin(plan)
        todo = [(rung, seed) for seed in plan.seeds for rung in plan.rungs]
        work = [Work(rung.name, rung.recipe.epochs, ready=is_done(plan, rung, seed)) for rung, seed in todo]
        needed = on if not all(one.ready for one in work) else "local"
        with engine(needed, address=address, device=plan.device) as place:
            progress = LadderProgress(work, at_once=place.at_once, quiet=quiet)
            progress.say(_opening(plan, len(todo), place.at_once))
            for trained in place.train(plan, dataset, todo, reuse, progress.run_progress):
                _say_done(progress, trained)
    return plan


def _opening(plan: Plan, runs: int, at_once: int) -> str:
    seeds = f"{len(plan.seeds)} seed{'s' * (len(plan.seeds) > 1)}"
    beside = f", {at_once} at once" if at_once > 1 else ""
    return (
        f"{plan.title} on {plan.data}: {len(plan.rungs)} rungs x {seeds} = {runs} runs in {plan.folder} "
        f"({plan.device}, {plan.precision}{beside})"
    )


def _say_done(progress: LadderProgress, trained: Trained) -> None:
    info = trained.run.info
    progress.run_done(
        trained.rung.name,
        seed=trained.seed,
        seconds=info.get("seconds") or sum(row["seconds"] for row in trained.run.journal.rows()),
        val_accuracy=info["val"]["accuracy"]["value"] if info["status"] == "finished" else None,
        reused=trained.reused,
    )


# What a person sees meanwhile: one line per finished run, and how long the rest will take


@dataclass(frozen=True)
class Work:
    """A run as work.

    Attributes:
        rung: its rung's name.
        epochs: of its recipe.
        seconds: it took; 0 if it is still to come.
        ready: it is on disk already, and will be read and not trained.
    """

    rung: str
    epochs: float
    seconds: float = 0.0
    ready: bool = False


def seconds_left(done: Sequence[Work], ahead: Sequence[Work]) -> float | None:
    """Seconds that the runs ahead will take, by those that are done; None before the first.

    A rung that was timed is its own measure (augmentation and width cost time); others go by the mean of all.
    """
    rates = {rung: [one.seconds / one.epochs for one in done if one.rung == rung] for rung in {d.rung for d in done}}
    ahead = [one for one in ahead if not one.ready]
    if not ahead:
        return 0.0
    if not rates:
        return None
    usual = fmean(rate for of_rung in rates.values() for rate in of_rung)
    return sum(one.epochs * (fmean(rates[one.rung]) if one.rung in rates else usual) for one in ahead)


class LadderProgress:
    """Counts the runs of a ladder and says where it stands, on stderr.

    Args:
        ahead: all its runs.
        at_once: how many are trained side by side.
        quiet: say nothing.
    """

    def __init__(self, ahead: Sequence[Work], *, at_once: int = 1, quiet: bool = False) -> None:
        self._lines = Progress(quiet=quiet)
        self._ahead = list(ahead)
        self._done: list[Work] = []
        self._count = len(self._ahead)
        self._at_once = at_once
        self.run_progress = Progress(quiet=quiet, brief=True)

    def say(self, sentence: str) -> None:
        """Print one line."""
        self._lines.about([sentence])

    def run_done(self, rung: str, *, seed: int, seconds: float, val_accuracy: float | None, reused: bool) -> None:
        """Note that a run is done, and print its line.

        Args:
            rung: the run's.
            seed: the run's.
            seconds: it took, over all sittings.
            val_accuracy: a fraction, or None if the loss became NaN or infinite.
            reused: it was finished before this command began.
        """
        # Of one rung's runs that are ahead any will do: but for the seed they are alike.
        run = min((one for one in self._ahead if one.rung == rung), key=lambda one: one.ready != reused)
        self._ahead.remove(run)
        self._done.append(Work(run.rung, run.epochs, seconds))
        shown = "diverged" if val_accuracy is None else f"val {100 * val_accuracy:.2f} %"
        took = "done before" if reused else clock(seconds)
        left = seconds_left(self._done, self._ahead)
        beside = max(1, min(self._at_once, sum(not one.ready for one in self._ahead)))
        rest = f"about {clock(left / beside)} left" if self._ahead and left is not None else "that was the last"
        if reused and not left:
            rest = "nothing left to train"
        number = f"{len(self._done):>{len(str(self._count))}}/{self._count}"
        self.say(f"[{number}] {run.rung}, seed {seed}: {shown}, {took}; {rest}")


def clock(seconds: float) -> str:
    """Seconds as "42 s", "6m12s" or "3h05m"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"
