"""What a person sees while training: a bar with images/s and the time left, and one line per epoch.

Everything goes to stderr, so that `--json` owns stdout. Without a terminal there is no bar, only the lines.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from snellen.runs.run import Row
from snellen.show.text import new_console

_LOGGER = logging.getLogger("snellen")
_HEADER = f"{'epoch':>5}  {'lr':>8}  {'train loss':>10}  {'train acc':>9}  {'val loss':>8}  {'val acc':>8}  {'time':>6}"


class WhoeverListens:
    """stderr as it is at the moment, or nobody: a training does not end because its terminal, or a pipe, is gone."""

    def write(self, text: str) -> int:
        """Write, if anyone is there; all of it is taken as written."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if anyone is there."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    @property
    def _stream(self) -> Any:
        # While a bar is shown rich puts a proxy of its own in the place of stderr, which leads back to here.
        return getattr(sys.stderr, "rich_proxied_file", sys.stderr) or io.StringIO()  # pythonw has no stderr

    def __getattr__(self, name: str) -> Any:
        if name == "rich_proxied_file":  # else rich would write past this class
            raise AttributeError(name)
        return getattr(self._stream, name)


class Progress:
    """Draws a training.

    Args:
        quiet: draw nothing.
        brief: draw the bar alone, without a line per epoch: for one run among many.

    Attributes:
        after_epoch: is called when an epoch's row is on disk; what it raises ends the training.
    """

    def __init__(self, *, quiet: bool = False, brief: bool = False) -> None:
        self._console = new_console(file=WhoeverListens(), quiet=quiet)  # type: ignore[arg-type]
        self._brief = brief
        self.after_epoch: Callable[[], None] = lambda: None
        self._bar: Bar | None = None
        self._images_per_step = 0
        self._started = 0.0
        self._first = 0

    def say(self, sentence: str, *, lead: str = "", style: str = "") -> None:
        """Print one line beside the bar, its `lead` or else all of it in a style, nothing if `brief`; and log it."""
        _LOGGER.info("%s", f"{lead} {sentence}".strip())
        if not self._brief:
            line = Text.assemble((lead, style), f" {sentence}") if lead else Text(sentence, style)
            self._console.print(line, soft_wrap=True)

    def download(self, done: int, total: int | None) -> None:
        """Show a download's progress, on a terminal only."""
        if self._console.is_terminal and not self._console.quiet:
            of = f" of {total / 1e6:.0f}" if total else ""
            end = "\n" if done == total else "\r"
            self._console.print(f"downloading {done / 1e6:.0f}{of} MB", end=end)

    def decoding(self, done: int, total: int) -> None:
        """Show how many pictures have been read, on a terminal only."""
        if self._console.is_terminal and not self._console.quiet:
            self._console.print(f"reading pictures {done:,} of {total:,}", end="\n" if done == total else "\r")

    def about(self, sentences: Sequence[str]) -> None:
        """Print what is said about the data."""
        for sentence in sentences:
            self.say(sentence)

    def begin(self, *, steps: int, done: int, images_per_step: int) -> None:
        """Start the bar at `done` of `steps`."""
        self._images_per_step, self._started, self._first = images_per_step, time.monotonic(), done
        self.say(_HEADER, style="dim")
        if self._console.is_terminal and not self._console.quiet:
            columns = (BarColumn(bar_width=None), TextColumn("{task.fields[rate]:>6.0f} img/s"), TimeRemainingColumn())
            self._bar = Bar(*columns, console=self._console, transient=True)
            self._bar.add_task("train", total=steps, completed=done, rate=0.0)
            self._bar.start()

    def advance(self, step: int) -> None:
        """Move the bar to `step`."""
        if self._bar is not None:
            seconds = time.monotonic() - self._started
            rate = (step - self._first) * self._images_per_step / max(seconds, 1e-9)
            self._bar.update(self._bar.task_ids[0], completed=step, rate=rate)

    def epoch(self, row: Row) -> None:
        """Print an epoch's row."""
        cells = (
            f"{row['epoch']:>5}",
            f"{row['lr']:>8.4f}",
            f"{row['train/loss']:>10.4f}",
            _percent(row.get("train/accuracy"), 9),
            f"{row['val/loss']:>8.4f}" if "val/loss" in row else f"{'–':>8}",
            _percent(row.get("val/accuracy"), 8),
            f"{clock(row['seconds'], 1):>6}",
        )
        self.say("  ".join(cells))
        self.after_epoch()

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _percent(fraction: float | None, width: int) -> str:
    return f"{'–':>{width}}" if fraction is None else f"{100 * fraction:>{width - 2}.2f} %"


def clock(seconds: float, decimals: int = 0) -> str:
    """Seconds as "42 s", "6m12s" or "3h05m"."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{seconds:.{decimals}f} s"
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"
