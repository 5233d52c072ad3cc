"""The trackers by name. A new one is a file in this folder with a function `make`, and a line in `TRACKERS`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from snellen.errors import InvalidSetting, MissingExtra, UsageError, unknown_name
from snellen.trackers.tracker import Tracker


@dataclass(frozen=True)
class Kind:
    """Something that can follow a run. Its name is also that of the extra that installs what it needs.

    Attributes:
        module: the file in this folder.
        sentence: where the rows go.
        packages: modules that must be installed.
    """

    module: str
    sentence: str
    packages: tuple[str, ...]


TRACKERS: dict[str, Kind] = {
    "tensorboard": Kind("tensorboard", "event files in the run folder", ("tensorboard",)),
    "wandb": Kind("weights_and_biases", "an offline run in the run folder; wandb:online sends it", ("wandb",)),
    "mlflow": Kind(
        "mlflow", "mlflow.db beside the runs; mlflow:URI or $MLFLOW_TRACKING_URI sends it there",
        ("mlflow", "sqlalchemy", "alembic"),
    ),
    "hub": Kind("hub", "hub:OWNER/NAME uploads weights and card to Hugging Face", ("huggingface_hub",)),
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
    tracker: Tracker = import_module(f"snellen.trackers.{TRACKERS[target.name].module}").make(target.place)
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
