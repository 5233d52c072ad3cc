"""Ctrl-C, SIGTERM and a terminal that is gone (SIGHUP) during training: finish the step, save, say how to go on.

The first signal asks; the loop saves a checkpoint and leaves. What changes nothing, such as a look at val, is not
waited for. A second signal waits for nothing, unless it is SIGHUP again.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

_HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none


class Interrupted(KeyboardInterrupt):
    """Training stopped on request; `exit_code` is 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.

    No `Exception`, so that nothing that outlives other people's errors outlives a request to stop.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Signals that come inside are raised at the end: for calls into libraries that take the raised one for an error.

    Reading a tensor, PyTorch may say "could not determine the shape" where it was Ctrl-C that hit it.
    """
    received: list[int] = []
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for number in _stopping():
            previous[number] = signal.signal(number, lambda which, _: received.append(which))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def _stopping() -> list[signal.Signals]:
    """The signals that stop a training."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if _HANGUP is not None and signal.getsignal(_HANGUP) is not signal.SIG_IGN:
        numbers.append(_HANGUP)
    return numbers


class StopRequest:
    """Notes SIGINT, SIGTERM and SIGHUP while it is entered; outside the main thread it notes nothing.

    Under `nohup` SIGHUP is ignored and stays so: the training is meant to go on without its terminal.

    Args:
        shared: several workers must stop at the same step: signals are only noted until all have agreed. torchrun
            passes on what the terminal has sent already, and kills after half a minute.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self._received: int | None = None
        self._patient = True
        self._shared = shared
        self._previous: dict[int, signal.Handlers | int | None] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in _stopping():
                self._previous[number] = signal.signal(number, self._note)  # type: ignore[assignment]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._received is not None

    def raise_if_requested(self, *, agreed: bool = False) -> None:
        """Leave training if a signal has come; call it when the state on disk is whole.

        Args:
            agreed: a signal has come to some worker, and all of them leave now.
        """
        if agreed or (self._received is not None and not self._shared):
            raise Interrupted(self._received or signal.SIGTERM)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, a signal is raised where it arrives: for work of which half is as good as nothing.

        Raises:
            Interrupted: a signal comes, or has come before.
        """
        self._patient = False
        try:
            self.raise_if_requested()
            yield
        finally:
            self._patient = True

    def _note(self, number: int, _: FrameType | None) -> None:
        # A terminal that is closed says so twice, the shell and then the kernel: that is no impatience.
        second = self._received is not None and number != _HANGUP
        self._received = number
        if not self._shared and (second or not self._patient):
            raise Interrupted(number)  # the last checkpoint stands
