"""What a person sees while a ladder is climbed: one line per finished run, and how long the rest will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from rich.console import Console
from rich.text import Text

from snellen.show.progress import Progress, WhoeverListens


@dataclass(frozen=True)
class Effort:
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


def seconds_left(done: Sequence[Effort], ahead: Sequence[Effort]) -> float | None:
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


class Pace:
    """Counts the runs of a ladder and says where it stands, on stderr.

    Args:
        ahead: all its runs.
        at_once: how many are trained side by side.
        quiet: say nothing.
    """

    def __init__(self, ahead: Sequence[Effort], *, at_once: int = 1, quiet: bool = False) -> None:
        self._console = Console(file=WhoeverListens(), quiet=quiet, highlight=False)  # type: ignore[arg-type]
        self._ahead = list(ahead)
        self._done: list[Effort] = []
        self._count = len(self._ahead)
        self._at_once = at_once
        self.run_progress = Progress(quiet=quiet, brief=True)

    def say(self, sentence: str) -> None:
        """Print one line."""
        self._console.print(Text(sentence), soft_wrap=True)

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
        self._done.append(Effort(run.rung, run.epochs, seconds))
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
