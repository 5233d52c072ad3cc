"""Train a recipe again and again, each time with other values of some fields, and find those that do best on val.

Optuna proposes (TPE, by the trials before) and gives weak trials up (below the median of the others at one epoch); its
memory is `study.db`. Each trial is an ordinary run in the search's folder, so after a kill the same call goes on.

The best of many is flattered by being chosen. So its accuracy is that of the best of all epochs that were looked at;
then recipe and best are trained with seeds that had no part in the choice, and compared.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snellen.data.dataset import Dataset
from snellen.errors import SHORT, InvalidSetting, MissingExtra, RunError, SnellenError
from snellen.evaluate.compare_runs import Comparison, compare_runs
from snellen.evaluate.val import evaluate_on_val
from snellen.ladder.engines import EngineName, engine
from snellen.ladder.run import begin, known_plan, plan_ladder, run_ladder
from snellen.ladder.rungs import Ladder, Plan, Rung, values_of
from snellen.metrics.intervals import Rate
from snellen.recipes.json_form import changes, with_settings
from snellen.recipes.recipe import Recipe
from snellen.runs.atomic import make_folder, write_json
from snellen.runs.run import Run, open_run
from snellen.serialize import flat, to_json
from snellen.show.progress import Progress, clock
from snellen.train.setup import prepare

SEARCH_SEED = 1_000
"""Of every trial. Ladders count from 0 and never come so far: the seeds of the comparison are fresh."""
_UNTOUCHED = 1 / 3  # of the epochs, in which no trial is given up
_LONGER = {"epochs", "min_steps", "patience", "evaluate_every"}  # trials that differ in them are alike in no epoch


@dataclass(frozen=True)
class Trial:
    """One proposal: its `settings` as `--set` takes them, its `run`, and how often val was looked at in it.

    `state` is "finished", "given up", "diverged", or "refused" where the values cannot be trained together; `accuracy`
    on val, with the weights of its best epoch, is None where it did not finish.
    """

    number: int
    settings: tuple[str, ...]
    run: str
    state: str
    accuracy: Rate | None
    looks: int


@dataclass(frozen=True)
class Search:
    """What a search has found in its trials, which stand in the order in which they were proposed.

    Attributes:
        found: the best on val, the first of equals, with `accuracy` as the best of all epochs of all trials.
        best: its recipe, which best.json holds; None where no trial finished.
        comparison: of the recipe with the best, over fresh seeds; None if not asked for, or if they are the same.
    """

    folder: Path
    trials: tuple[Trial, ...]
    found: Trial | None = None
    accuracy: Rate | None = None
    best: Recipe | None = None
    comparison: Comparison | None = None


def search(
    recipe: Recipe,
    space: Sequence[str],
    dataset: Dataset,
    folder: Path,
    *,
    trials: int = 20,
    seconds: float | None = None,
    confirm: int = 3,
    device: str = "auto",
    precision: str = "auto",
    on: EngineName = "local",
    address: str | None = None,
    quiet: bool = True,
) -> Search:
    """Search, as far as that has not been done, and compare the best with the recipe; all of it is in the folder.

    Args:
        recipe: tried first, where it lies in the space.
        space: such as "optimizer.lr=log:1e-3:1", "epochs=5:20" (whole numbers) and "augment.flip=none,random".
        trials: in all, those of earlier sittings too.
        seconds: of this sitting: no trial is begun that would not end in time, the comparison counted in.
        confirm: fresh seeds at the end; 0 leaves the comparison out.
        on: the engine, as `run_ladder` has it, with `device` and the others.

    Raises:
        SnellenError: with one sentence, whatever is wrong.
        Interrupted: SIGINT, SIGTERM or SIGHUP; the same call goes on from there.
    """
    if trials < 1 or confirm < 0:
        raise InvalidSetting(f"--trials {trials} --confirm {confirm} is not possible: at least 1, and at least 0.")
    ranges = parse_space(optuna := _library(), recipe, space)
    ladder = Ladder(f"search around {recipe.name}", (Rung("trial", recipe),), tuple(space))
    plan = plan_ladder(ladder, dataset, folder, seeds=1, device=device, precision=precision)
    make_folder(folder)
    with Run(folder).locked(), _study(optuna, plan, ranges) as study:
        asked, bar = _Trials(optuna, study, plan, ranges, quiet=quiet), Progress(quiet=quiet, brief=True)
        with engine(on, address=address, device=plan.device) as place:
            rounds, end = 1 + math.ceil(2 * confirm / place.at_once), time.monotonic() + (seconds or math.inf)
            coming = asked.coming(dataset, trials, lambda longest: time.monotonic() + rounds * longest < end)
            for trained in place.train(plan, dataset, coming, (folder,), bar, asked.too_weak):
                asked.tell(trained.run)
        found = asked.search()
        if found.best is not None:
            write_json(folder / "best.json", to_json(found.best))
            if fresh := _fresh_seeds(plan, found, confirm):
                run_ladder(fresh, dataset, on=on, address=address, quiet=quiet)
                found = replace(found, comparison=_compared(fresh))
        write_json(folder / "results.json", to_json(found))
    return found


def _fresh_seeds(plan: Plan, found: Search, count: int) -> Plan | None:
    """Recipe and best, with seeds that had no part in the choice."""
    recipe, best, trial = plan.rungs[0].recipe, found.best, found.found
    if best is None or trial is None or not count or not changes(recipe, best):
        return None
    rungs = (Rung(recipe.name, recipe), Rung(best.name, best, 0))
    return replace(plan, rungs=rungs, seed_counts=(count,), folder=plan.folder / f"fresh-{trial.run}")


def _compared(fresh: Plan) -> Comparison | None:
    runs = [open_run(fresh.folder / fresh.run_name(rung, seed)) for rung in fresh.rungs for seed in fresh.seeds]
    if any(run.info["status"] == "diverged" for run in runs):
        return None
    return compare_runs(runs, [evaluate_on_val(run) for run in runs])


def parse_space(optuna: Any, recipe: Recipe, texts: Sequence[str]) -> dict[str, Any]:
    """Optuna's distribution of each field of a space; ends and values must be possible in the recipe.

    Raises:
        UsageError: a field stands twice, or what it may be cannot be read, or cannot be set.
    """
    found: dict[str, Any] = {}
    for text in texts or ("",):
        field, _, rest = text.partition("=")
        span = re.fullmatch(r"(log:)?([^:,]+):([^:,]+)", rest)
        try:
            if span is None:
                ends = [_scalar(value) for value in values_of("--space", text)[1]]
                among = optuna.distributions.CategoricalDistribution(ends)
            else:
                ends = [json.loads(end) for end in span.groups()[1:]]
                kind = "IntDistribution" if {*map(type, ends)} == {int} else "FloatDistribution"
                among = getattr(optuna.distributions, kind)(*ends, log=span[1] is not None)
        except (ValueError, TypeError):
            raise InvalidSetting(
                f"--space {SHORT.repr(text)} is not possible: FIELD=LOW:HIGH with LOW below HIGH, FIELD=log:LOW:HIGH "
                "with LOW above 0, or FIELD=A,B,C."
            ) from None
        if found.setdefault(field, among) is not among:
            raise InvalidSetting(f"--space has {field} twice. Give each field one range or one list.")
        for end in ends:
            with_settings(recipe, _settings(found, {field: end}))
    return found


def _scalar(text: str) -> Any:
    """A value as a recipe has it, where Optuna can hold it; else its text, which --set takes too."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, list | dict) else value


def _settings(ranges: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[str, ...]:
    """What an Optuna trial proposed, as `--set` takes it: no more digits than say something."""
    texts = []
    for field, value in values.items():
        if isinstance(value, float) and not hasattr(ranges[field], "choices"):
            value = min(max(float(f"{value:.4g}"), ranges[field].low), ranges[field].high)
        texts.append(f"{field}={value if isinstance(value, str) else json.dumps(value)}")
    return tuple(texts)


def _among(range_: Any, value: Any) -> bool:
    try:
        return bool(range_._contains(range_.to_internal_repr(value)))
    except (ValueError, TypeError):  # a list has no such value, a range no text
        return False


@contextmanager
def _study(optuna: Any, plan: Plan, ranges: Mapping[str, Any]) -> Iterator[Any]:
    """Optuna's memory of a search, on disk, begun or gone on with; what the recipe itself has is to be tried first."""
    before, recipe, path = known_plan(plan.folder), plan.rungs[0].recipe, plan.folder / "study.db"
    if before is not None and tuple(before["settings"]) != plan.settings:
        known = " ".join(before["settings"])
        raise RunError(f"{plan.folder} holds a search of {known}. Choose another --name for this.")
    begin(plan)
    pruner = optuna.pruners.MedianPruner(n_warmup_steps=math.ceil(_UNTOUCHED * recipe.epochs))
    if _LONGER & ranges.keys():
        pruner = optuna.pruners.NopPruner()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # SQLite gets the path itself: as a part of a URL its letters could mean something else.
    from sqlalchemy.pool import NullPool  # which closes what is given back, also of a file that is no database

    connect = {"creator": lambda: sqlite3.connect(path, check_same_thread=False), "poolclass": NullPool}
    told: dict[str, Any] = {"study_name": "tune", "direction": "maximize", "load_if_exists": True}
    try:
        storage = optuna.storages.RDBStorage("sqlite:///study.db", engine_kwargs=connect)
        study = optuna.create_study(storage=storage, pruner=pruner, **told)
    except Exception as error:  # whatever SQLite, and what stands before it, says of a file
        reason = str(error).partition("\n")[0]
        raise RunError(
            f"{path} is not a search's memory that can be gone on with ({reason}). Another --name."
        ) from error
    own = {field: flat(to_json(recipe)).get(field) for field in ranges}
    if not study.trials and all(_among(ranges[field], value) for field, value in own.items()):
        study.enqueue_trial(own)
    yield study


class _Trials:
    """The trials of a study as runs of a plan: what is proposed, what is given up, and what became of each."""

    def __init__(self, optuna: Any, study: Any, plan: Plan, ranges: Mapping[str, Any], *, quiet: bool) -> None:
        self._optuna, self._study, self._plan, self._ranges = optuna, study, plan, ranges
        self._say = Progress(quiet=quiet).about
        self._open: dict[str, Any] = {}  # Optuna's trial, by the name of the run

    @property
    def _begun(self) -> list[Any]:
        return [each for each in self._study.trials if each.state.name != "WAITING"]

    def _run(self, trial: Any) -> Run:
        return Run(self._plan.folder / self._plan.run_name(self._rung(trial), SEARCH_SEED))

    def _rung(self, trial: Any, settings: Sequence[str] = ()) -> Rung:
        return Rung(f"trial {trial.number:03}", with_settings(self._plan.rungs[0].recipe, settings))

    def _seconds(self, trial: Any) -> float:
        return math.fsum(row["seconds"] for row in self._run(trial).journal.rows())

    def coming(self, dataset: Dataset, most: int, in_time: Callable[[float], bool]) -> Iterator[tuple[Rung, int]]:
        """First the trials that were interrupted, then new ones, each proposed when there is a place for it.

        `in_time` says whether another may begin, given the seconds that the longest so far took.
        """
        interrupted = [each for each in self._begun if each.state.name == "RUNNING"]
        for number in (*(each.number for each in interrupted), *range(len(self._begun), most)):
            # What is proposed follows from the number and the trials before, whatever was killed in between.
            self._study.sampler = self._optuna.samplers.TPESampler(seed=number)
            if interrupted:
                trial = self._optuna.trial.Trial(self._study, interrupted.pop(0)._trial_id)
            elif in_time(max(map(self._seconds, self._begun), default=0.0)):
                trial = self._study.ask()
            else:
                return
            settings = _settings(self._ranges, {field: trial._suggest(field, at) for field, at in self._ranges.items()})
            trial.set_user_attr("settings", settings)
            device, precision = self._plan.device, self._plan.precision
            try:
                rung = self._rung(trial, settings)
                prepare(rung.recipe, dataset, seed=SEARCH_SEED, device=device, precision=precision)
            except SnellenError as error:
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
                self._say([f"trial {number}, {' '.join(settings)}: {error}"])
                continue
            self._open[self._run(trial).name] = trial
            yield rung, SEARCH_SEED

    def too_weak(self, run: Run) -> bool:
        """Report what the run's journal has gained, and ask whether the run is to be given up before its last epoch."""
        trial = self._open[run.name]
        known = self._study.trials[trial.number].intermediate_values
        new = [row for row in run.journal.rows() if "val/accuracy" in row and row["epoch"] not in known]
        for row in new:
            trial.report(row["val/accuracy"], row["epoch"])
        if not new or new[-1]["epoch"] >= run.recipe.epochs_on(run.info["data"]["train"]["count"]):
            return False
        return bool(trial.should_prune())

    def tell(self, run: Run) -> None:
        """Tell Optuna what became of a run, and the user."""
        trial, pruned = self._open.pop(run.name), self._optuna.trial.TrialState.PRUNED
        finished = run.info["status"] == "finished"
        grade = {"values": run.info["val"]["accuracy"]["value"]} if finished else {"state": pruned}
        told = self._told(self._study.tell(trial, **grade))
        graded, spent = told.accuracy or told.state, clock(self._seconds(trial))
        self._say([f"trial {told.number}, {' '.join(told.settings)}: {graded}, {spent}"])

    def _told(self, trial: Any) -> Trial:
        run, state, accuracy = self._run(trial), "refused", None
        if trial.state.name != "FAIL":
            state = {"finished": "finished", "diverged": "diverged"}.get(run.info["status"], "given up")
        looks = len(run.val_looks)
        if state == "finished":
            accuracy = Rate(run.info["val"]["accuracy"]["hits"], run.info["val"]["accuracy"]["n"], max(1, looks))
        return Trial(trial.number, tuple(trial.user_attrs["settings"]), run.name, state, accuracy, looks)

    def search(self) -> Search:
        """What they have found, all of them told."""
        folder, trials = self._plan.folder, tuple(map(self._told, self._begun))
        found = max(trials, key=lambda each: each.accuracy.hits if each.accuracy else -1)
        if found.accuracy is None:
            return Search(folder, trials)
        accuracy = replace(found.accuracy, best_of=max(1, sum(each.looks for each in trials)))
        recipe = Run(folder / found.run).recipe
        note = f"{recipe.name} with {' '.join(found.settings)}: the best of {len(trials)} trials on {self._plan.data}."
        return Search(folder, trials, found, accuracy, recipe.replace(name=f"{recipe.name}_tuned", note=note))


def _library() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingExtra("snellen tune needs Optuna, which is not installed: pip install 'snellen[tune]'") from None
    return optuna
