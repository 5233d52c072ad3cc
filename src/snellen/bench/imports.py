"""`import`: how long `snellen --help` takes, as a whole process, beside a Python that does nothing."""

from __future__ import annotations

from collections.abc import Iterator

from snellen.bench.conditions import conditions_here
from snellen.bench.measurement import Measurement
from snellen.bench.process import run_python
from snellen.bench.protocol import compare
from snellen.bench.settings import Settings

_COMMANDS = {
    "snellen --help": ("-m", "snellen", "--help"),
    "snellen train --help": ("-m", "snellen", "train", "--help"),
    "import of the training": ("-c", "import snellen.train.fit"),
}
_NOTHING = ("-c", "pass")
_REPEATS, _QUICK_REPEATS = 15, 2


def measure(settings: Settings) -> Iterator[Measurement]:
    """Whole processes in turns with an empty one; warm file cache, since the first of each is not timed."""
    conditions = conditions_here()
    for case, arguments in _COMMANDS.items():
        comparison = compare(
            lambda arguments=arguments: run_python(arguments),  # type: ignore[misc]
            lambda: run_python(_NOTHING),
            warmup=1,
            repeats=_QUICK_REPEATS if settings.quick else _REPEATS,
            synchronize=lambda: None,
            conditions=(conditions, conditions),
        )
        figures = {"seconds": comparison.a.median, "p90 seconds": comparison.a.p90, "python alone": comparison.b.median}
        yield Measurement("import", case, figures, comparison.a.conditions, comparison=comparison)
