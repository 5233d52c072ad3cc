"""What can be measured, and what may be chosen for it. A new subject is a function here and a line in `SUBJECTS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from snellen.errors import InvalidSetting, unknown_name

if TYPE_CHECKING:
    from snellen.bench.protocol import Measurement


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a benchmark may choose; the same for all subjects, and options of `snellen bench`."""

    device: str = "auto"
    """auto, cpu, cuda or mps."""
    quick: bool = False
    """Small sizes and few repeats: the order of magnitude in seconds, no number to publish."""
    recipe: str | None = None
    """Measure this recipe instead of each subject's own choice."""
    dataset: str = "cifar10"
    """For memory: cifar10 or eyechart."""
    data: Path | None = None
    """Where the files are; else $SNELLEN_DATA, ./data and the cache are searched."""

    @property
    def repeats(self) -> int:
        """Timed repeats of a subject that takes up to a few seconds."""
        return 3 if self.quick else 9


@dataclass(frozen=True)
class Subject:
    """Something that can be measured.

    Attributes:
        function: that yields its lines, as "file.name" in this folder.
        options: settings that have an effect on it, besides device and quick.
        long: whether it takes minutes, and is measured only when it is named.
    """

    function: str
    options: tuple[str, ...] = ()
    long: bool = False


SUBJECTS: dict[str, Subject] = {
    "import": Subject("process.measure_import"),
    "load": Subject("load.measure", ("data",)),
    "augment": Subject("augment.measure", ("recipe",)),
    "step": Subject("step.measure", ("recipe",)),
    "predict": Subject("predict.measure", ("recipe",)),
    "memory": Subject("process.measure_memory", ("data", "dataset", "recipe"), long=True),
}
"""By name; docs/bench.md says what each answers."""


def chosen(names: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """The subjects named, each once; without a name all that are not long.

    Raises:
        UnknownName: there is no such subject; the nearest one is offered.
        InvalidSetting: a setting was changed that none of these subjects looks at.
    """
    for name in names:
        if name not in SUBJECTS:
            raise unknown_name("subject", name, SUBJECTS, list_with="snellen bench --help")
    asked = tuple(dict.fromkeys(names)) or tuple(name for name, subject in SUBJECTS.items() if not subject.long)
    for option in ("recipe", "dataset", "data"):
        users = [name for name, subject in SUBJECTS.items() if option in subject.options]
        if getattr(settings, option) != getattr(Settings(), option) and not set(users) & set(asked):
            raise InvalidSetting(
                f"--{option} has no effect on {', '.join(asked)}; it is for {', '.join(users)}. Leave it out."
            )
    return asked


def measure(name: str, settings: Settings) -> Iterator[Measurement]:
    """The lines of one subject, each as soon as it is measured."""
    file, _, function = SUBJECTS[name].function.partition(".")
    found: Callable[[Settings], Iterator[Measurement]] = getattr(import_module(f"snellen.bench.{file}"), function)
    return found(settings)
