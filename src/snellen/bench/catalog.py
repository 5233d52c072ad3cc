"""The subjects by name. A new one is a file in this folder with a function `measure`, and a line in `SUBJECTS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from snellen.bench.settings import Settings
from snellen.errors import InvalidSetting, unknown_name

if TYPE_CHECKING:
    from snellen.bench.measurement import Measurement


@dataclass(frozen=True)
class Subject:
    """Something that can be measured.

    Attributes:
        module: the file in this folder.
        sentence: what it answers.
        long: whether it takes minutes to hours, and is measured only when it is named.
        options: settings that have an effect on it, besides device, quick and the output's.
    """

    module: str
    sentence: str
    long: bool = False
    options: tuple[str, ...] = ()


SUBJECTS: dict[str, Subject] = {
    "import": Subject("imports", "seconds until snellen --help has answered"),
    "load": Subject("load", "seconds from disk to split and statistics", options=("data",)),
    "augment": Subject("augment", "batches per second, and their share of a training step", options=("recipe",)),
    "step": Subject("step", "training steps per model, precision and image size", options=("recipe",)),
    "predict": Subject("predict", "answers per second, beside plain PyTorch", options=("recipe",)),
    "memory": Subject("memory", "largest memory of a training", True, ("data", "dataset", "recipe")),
    "scale": Subject("scale", "time and memory against images, side, batch and classes", True),
    "to-accuracy": Subject(
        "to_accuracy",
        "seconds from nothing to a graded model, cold and warm",
        True,
        ("data", "dataset", "recipe", "seeds", "final", "reason", "ledger", "runs", "peer", "peer_seeds"),
    ),
}


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """The subjects named, each once; without a name all that are not long.

    Raises:
        UnknownName: there is no such subject; the nearest one is offered.
    """
    for name in names:
        if name not in SUBJECTS:
            raise unknown_name("subject", name, SUBJECTS, list_with="snellen bench --help")
    return tuple(dict.fromkeys(names)) or tuple(name for name, subject in SUBJECTS.items() if not subject.long)


def require_effect(names: Sequence[str], settings: Settings) -> None:
    """Refuse settings that none of these subjects looks at.

    Raises:
        InvalidSetting: such a setting was changed.
    """
    known = {option for name in names for option in SUBJECTS[name].options}
    plain = Settings()
    for option in sorted({option for subject in SUBJECTS.values() for option in subject.options} - known):
        if getattr(settings, option) != getattr(plain, option):
            users = [name for name, subject in SUBJECTS.items() if option in subject.options]
            flag = option.replace("_", "-")
            raise InvalidSetting(
                f"--{flag} has no effect on {', '.join(names)}; it is for {', '.join(users)}. Leave it out."
            )


def measure(name: str, settings: Settings) -> Iterator[Measurement]:
    """The lines of one subject, each as soon as it is measured."""
    function: Callable[[Settings], Iterator[Measurement]] = import_module(
        f"snellen.bench.{SUBJECTS[name].module}"
    ).measure
    return function(settings)
