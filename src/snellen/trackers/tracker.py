"""What a tracker is: something that follows a run and is told only what the run folder already holds.

    Facts      before the first row: name, recipe, conditions
    Row        one per epoch, as it stands in metrics.jsonl; slash names are kept
    Outcome    at the end: how it went, the grade on val with n and interval, a few files

A tracker is three methods. It never decides anything about a training, and a run is whole without it. A new one is a
file in this folder with a class that is made with its place, and a line in `TRACKERS`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Protocol

from snellen.errors import InvalidSetting, MissingExtra, RunError, UsageError, unknown_name
from snellen.runs.environment import redact_paths
from snellen.runs.run import Row, Run
from snellen.serialize import flat, to_json

Plain = bool | int | float | str | None
_FILES = ("recipe.json", "metrics.jsonl", "scorecard_val.json", "curves.png", "confusion.png")


@dataclass(frozen=True)
class Facts:
    """A run before its first row; `folder` is its own, for trackers that keep their files in it.

    Attributes:
        id: 16 hex digits, the same whenever this run is followed again, so that a tracker goes on with its own.
        recipe: every choice, flat, under the names that `--set` takes.
        conditions: data, seed, device and versions, flat.
        started: Unix seconds.
    """

    name: str
    folder: Path
    id: str
    recipe: dict[str, Plain]
    conditions: dict[str, Plain]
    started: float


@dataclass(frozen=True)
class Outcome:
    """A run at its end.

    Attributes:
        status: "finished", "interrupted", "diverged", or what else run.json says.
        numbers: best epoch, seconds and, where there is a val split, the accuracy on it with n and 95 % interval.
        files: of the run folder, small ones, for trackers that keep files.
    """

    status: str
    numbers: dict[str, float]
    files: tuple[Path, ...]


class Tracker(Protocol):
    """Follows one run."""

    def start(self, facts: Facts) -> int:
        """Begin, or go on with what an earlier start with the same `facts.id` has left.

        Returns:
            The last step whose row is here already; rows up to it are not handed over again. -1 asks for all.
        """

    def row(self, row: Row, at: float) -> None:
        """Take one row; `at` is its time in Unix seconds."""

    def finish(self, outcome: Outcome) -> None:
        """Close, so that nothing is lost when the process ends now."""

    def where(self) -> str:
        """Where it lies, or goes to, and the command that shows it, for people."""


def facts_of(run: Run) -> Facts:
    """What a run's folder says before its first row. Folders of this machine are left out of every text.

    Raises:
        RunError: environment.json does not say when it was started.
    """
    info, environment = run.info, run.read("environment.json")
    try:
        started = datetime.fromisoformat(environment["started"]).timestamp()
    except (KeyError, TypeError, ValueError):
        raise RunError(
            f"{run.folder / 'environment.json'} does not say when the run was started. Train again, or take another."
        ) from None
    recipe = to_json(run.recipe)
    identity = json.dumps([run.name, recipe, environment, info["seed"]], sort_keys=True)
    conditions = {
        "data": info["data"]["name"],
        "training_images": info["data"]["train"].get("count"),
        **{name: info[name] for name in ("seed", "final", "device", "precision")},
        **environment,
    }
    return Facts(
        name=run.name,
        folder=run.folder,
        id=hashlib.sha256(identity.encode()).hexdigest()[:16],
        recipe=_plain(recipe),
        conditions=_plain(conditions),
        started=started,
    )


def outcome_of(run: Run) -> Outcome:
    """How a run went, from its folder, in whatever state that is."""
    info = run.info
    numbers = {f"result/{name}": info[name] for name in ("best_epoch", "seconds") if name in info}
    card = info.get("val", {})
    for name, rate in (("val", card.get("accuracy")), ("val_tta", card.get("tta", {}).get("accuracy"))):
        if rate is not None:
            numbers |= {
                f"result/{name}_accuracy": rate["value"],
                f"result/{name}_accuracy_low": rate["low"],
                f"result/{name}_accuracy_high": rate["high"],
                f"result/{name}_images": rate["n"],
            }
    files = tuple(run.folder / name for name in _FILES if (run.folder / name).exists())
    return Outcome(str(info["status"]), numbers, files)


def numbers_of(row: Row) -> dict[str, float]:
    """The entries of a row that are curves over its step."""
    return {name: value for name, value in row.items() if name != "step"}


def _plain(content: dict[str, Any]) -> dict[str, Plain]:
    """Nested fields by their path; lists as JSON."""
    return {
        path: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
        for path, value in flat(redact_paths(content)).items()
    }


# The trackers by name


@dataclass(frozen=True)
class Kind:
    """Something that can follow a run: its file and class, where the rows go, and what must be installed.

    Its name is also that of the extra that installs it.
    """

    tracker: str
    sentence: str
    packages: tuple[str, ...]


TRACKERS: dict[str, Kind] = {
    "tensorboard": Kind("tensorboard:TensorBoard", "event files in the run folder", ("tensorboard",)),
    "wandb": Kind(
        "weights_and_biases:WeightsAndBiases", "an offline run in the run folder; wandb:online sends it", ("wandb",),
    ),
    "mlflow": Kind(
        "mlflow:MLflow", "mlflow.db beside the runs; mlflow:URI or $MLFLOW_TRACKING_URI sends it there",
        ("mlflow", "sqlalchemy", "alembic"),
    ),
    "hub": Kind("hub:Hub", "hub:OWNER/NAME uploads weights and card to Hugging Face", ("huggingface_hub",)),
}  # fmt: skip
_PASSWORD = re.compile(r"[^/]*//[^/]*@")
_REPOSITORY = re.compile(r"[\w][\w.-]{0,95}/[\w][\w.-]{0,95}")


@dataclass(frozen=True)
class Target:
    """A tracker and, after a colon, the place it writes to: "tensorboard", "wandb:online", "mlflow:URI"."""

    name: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.place}" if self.place else self.name


def targets(texts: Sequence[str], *, live: bool = False) -> tuple[Target, ...]:
    """What `--track` or `--to` named, each once, with everything it needs installed.

    Args:
        texts: such as ("tensorboard", "wandb:online").
        live: refuse what can only take a finished run.

    Raises:
        UnknownName: there is no such tracker; the nearest one is offered.
        InvalidSetting: a place that the tracker cannot write to.
        MissingExtra: a package is not installed.
    """
    found = tuple(dict.fromkeys(_target(text) for text in texts))
    for target in found:
        if live and target.name == "hub":
            raise UsageError(
                f"--track {target} is not possible: only a finished run is uploaded. After the training: "
                f"snellen track RUN --to {target}"
            )
        missing = [name for name in TRACKERS[target.name].packages if not _installed(name)]
        if missing:
            raise MissingExtra(
                f"The tracker {target.name} needs {', '.join(missing)}, not installed here: "
                f"pip install 'snellen[{target.name}]'"
            )
    return found


def make(target: Target) -> Tracker:
    """The tracker itself, not started yet; its library is imported when it starts."""
    tracker: Tracker = resolve_name(f"snellen.trackers.{TRACKERS[target.name].tracker}")(target.place)
    return tracker


def _target(text: str) -> Target:
    name, _, place = text.partition(":")
    if name not in TRACKERS:
        raise unknown_name("tracker", name, TRACKERS, list_with="snellen track --help")
    if name == "tensorboard" and place:
        raise InvalidSetting(f"{text} is not possible: event files always lie in the run folder. Say tensorboard.")
    if name == "wandb" and place not in ("", "online"):
        raise InvalidSetting(f"{text} is not possible: wandb (offline) or wandb:online.")
    if name == "hub" and not _REPOSITORY.fullmatch(place):
        raise InvalidSetting(f"{text} is not possible: hub:OWNER/NAME, such as hub:ada/eyechart-glance.")
    if name == "mlflow" and _PASSWORD.match(place):
        raise InvalidSetting(
            "A tracking URI with a password in it would be written into the run folder. Leave it out and set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
        )
    return Target(name, place)


def _installed(package: str) -> bool:
    spec = find_spec(package)
    # A folder without code, such as the `wandb` that W&B itself leaves behind, is found too, but from nowhere.
    return spec is not None and spec.origin is not None
