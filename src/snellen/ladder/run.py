"""Train what a ladder still lacks: rungs x seeds, each an ordinary run folder.

All rungs of seed 0 come first, then all of seed 1, so that the ladder is whole after each seed. A finished run is
reused and an interrupted one resumed, so the same command goes on wherever it was stopped. Nothing here sees more
than val.

A ladder may take days and several sittings. What must not change between them stands in its plan, `ladder.json`, device
and precision included: a rung trained in bf16 above one in fp32 would measure two things at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from snellen.data.dataset import Dataset
from snellen.data.splits import split
from snellen.errors import RunError, SnellenError
from snellen.ladder.engines import EngineName, engine
from snellen.ladder.one_run import Trained, is_done
from snellen.ladder.rungs import PLAN_FILE, Ladder, Plan, Rung, require_seeds
from snellen.recipes.json_form import changes, from_json
from snellen.runs.atomic import make_folder, write_json
from snellen.runs.run import Run
from snellen.serialize import to_json
from snellen.show.progress import Progress, clock
from snellen.train.setup import prepare

_FORMAT = 1


def plan_ladder(
    ladder: Ladder, dataset: Dataset, folder: Path, *, seeds: int = 3, device: str = "auto", precision: str = "auto"
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
    compute = prepare(ladder.rungs[0].recipe, dataset, seed=0, device=device, precision=precision).compute
    device, precision = str(compute.device), compute.precision
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
            for trained in place.train(plan, dataset, todo, reuse, progress.run_progress, None):
                _say_done(progress, trained)
    return plan


def _opening(plan: Plan, runs: int, at_once: int) -> str:
    seeds = f"{len(plan.seeds)} seed{'s' * (len(plan.seeds) > 1)}"
    beside = f", {at_once} at once" if at_once > 1 else ""
    rungs = f"{len(plan.rungs)} rung{'s' * (len(plan.rungs) > 1)}"
    return (
        f"{plan.title} on {plan.data}: {rungs} x {seeds} = {runs} runs in {plan.folder} "
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


# The plan on disk


def known_plan(folder: Path) -> dict[str, Any] | None:
    """The plan a folder holds, as JSON, or None where no ladder has begun.

    Raises:
        RunError: `ladder.json` cannot be read or was written by another version.
    """
    path = folder / PLAN_FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        whole = content["format"] == _FORMAT and all(isinstance(content[key], str) for key in ("device", "precision"))
        whole = whole and all(type(count) is int for count in content["seed_counts"])
        # With the fields that recipes have gained since, at their defaults.
        content["rungs"] = [{**rung, "recipe": to_json(from_json(rung["recipe"]))} for rung in content["rungs"]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, SnellenError):
        whole = False
    if not whole:
        raise RunError(
            f"{path} is not the plan of a ladder that this Snellen reads: another version wrote it, or it is damaged. "
            "Choose another --name."
        )
    assert isinstance(content, dict)
    return content


def begin(plan: Plan) -> Plan:
    """Write the plan, or go on with the one that is there; returns it with the seed counts of all its tables.

    Raises:
        RunError: the folder holds another ladder.
        StorageError: the plan cannot be written.
    """
    before = known_plan(plan.folder)
    if before is not None:
        _require_same(plan, before)
        counts = [int(count) for count in before["seed_counts"]]
        seeds = plan.seed_counts[-1]
        plan = replace(plan, seed_counts=(*counts, seeds) if counts[-1:] != [seeds] else tuple(counts))
    write_json(plan.folder / PLAN_FILE, _plan_json(plan))
    return plan


def _require_same(plan: Plan, before: dict[str, Any]) -> None:
    now = json.loads(json.dumps(_plan_json(plan)))
    for key in ("data", "rungs", "device", "precision"):
        if now[key] != before[key]:
            what = {"data": "other images", "rungs": "other rungs"}.get(key, f"another {key}")
            where = _first_difference(now, before) if key == "rungs" else ""
            raise RunError(
                f"{plan.folder} holds a ladder with {what}{where}. "
                "Run the command it was begun with, or choose another --name for this one."
            )


def _first_difference(now: dict[str, Any], before: dict[str, Any]) -> str:
    if [rung.get("name") for rung in before["rungs"]] != [rung["name"] for rung in now["rungs"]]:
        return ""
    for old, new in zip(before["rungs"], now["rungs"], strict=True):
        for key, value in new["recipe"].items():
            if old["recipe"].get(key) != value and key not in ("note", "expect"):
                return f" ({new['name']}: {key} {json.dumps(old['recipe'].get(key))}, asked for {json.dumps(value)})"
    return ""


def _plan_json(plan: Plan) -> dict[str, Any]:
    """Everything, the difference of each rung to its baseline included."""
    return {
        "format": _FORMAT,
        "title": plan.title,
        "data": {"name": plan.data, "train": plan.fingerprints[0], "val": plan.fingerprints[1]},
        "settings": list(plan.settings),
        "device": plan.device,
        "precision": plan.precision,
        "seed_counts": list(plan.seed_counts),
        "rungs": [_rung_json(rung, plan.rungs) for rung in plan.rungs],
    }


def _rung_json(rung: Rung, rungs: Sequence[Rung]) -> dict[str, Any]:
    below = None if rung.baseline is None else rungs[rung.baseline]
    return {
        "name": rung.name,
        "slug": rung.slug,
        "compared_with": below and below.name,
        "removes": rung.removes,
        "changes": [to_json(change) for change in changes(below.recipe, rung.recipe)] if below else [],
        "recipe": to_json(rung.recipe),
    }


# What a person sees meanwhile: one line per finished run, and how long the rest will take


@dataclass(frozen=True)
class Work:
    """A run as work: `seconds` it took, 0 if it is still to come; `ready` if it is on disk and will only be read."""

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
    """Counts the runs of a ladder, so many of them trained at once, and says where it stands, on stderr."""

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
        """Note that a run is done, or was before this command (`reused`), and print its line.

        `seconds` are those of all sittings; `val_accuracy` is a fraction, None if the loss became NaN or infinite.
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
