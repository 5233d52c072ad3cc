"""Ctrl-C, SIGTERM and a terminal that is gone (SIGHUP) during training: finish the step, save, say how to go on.

The first signal asks; the loop saves a checkpoint and leaves. What changes nothing, such as a look at val, is not
waited for. A second signal waits for nothing, unless it is SIGHUP again.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

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
    try:
        with _handled_by(lambda number, _: received.append(number)):
            yield
    finally:
        if received:
            signal.raise_signal(received[0])


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """The signals that stop a training go to `handler` inside; outside the main thread none does."""
    numbers: list[signal.Signals] = []
    if threading.current_thread() is threading.main_thread():
        numbers = [signal.SIGINT, signal.SIGTERM]
        if _HANGUP is not None and signal.getsignal(_HANGUP) is not signal.SIG_IGN:
            numbers.append(_HANGUP)
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


class StopRequest(ExitStack):
    """Notes SIGINT, SIGTERM and SIGHUP while it is entered; outside the main thread it notes nothing.

    Under `nohup` SIGHUP is ignored and stays so: the training is meant to go on without its terminal.

    Args:
        shared: several workers must stop at the same step: signals are only noted until all have agreed. torchrun
            passes on what the terminal has sent already, and kills after half a minute.
    """

    def __init__(self, *, shared: bool = False) -> None:
        super().__init__()
        self._received: int | None = None
        self._patient = True
        self._shared = shared

    def __enter__(self) -> StopRequest:
        self.enter_context(_handled_by(self._note))
        return self

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
