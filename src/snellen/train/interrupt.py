"""Ctrl-C and SIGTERM during training: finish the step, save, say how to go on.

The first signal asks; the loop saves a checkpoint and leaves. A second one does not wait.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """Training stopped on request; `exit_code` is 130 after Ctrl-C and 143 after SIGTERM."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


class StopRequest:
    """Notes SIGINT and SIGTERM while it is entered; outside the main thread it notes nothing.

    Args:
        patient: a second signal does not leave at once. torchrun passes on what the terminal sent already, and kills
            after half a minute by itself.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self._patient = patient
        self._received: int | None = None
        self._previous: dict[int, signal.Handlers | int | None] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
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

    def join(self) -> None:
        """Stop as if a signal had come here: it came to another worker."""
        self._received = self._received or signal.SIGTERM

    def raise_if_requested(self) -> None:
        """Leave training if a signal has come; call it when the state on disk is whole."""
        if self._received is not None:
            raise Interrupted(self._received)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self._received is not None and not self._patient:
            raise KeyboardInterrupt  # the second signal: leave now; the last checkpoint stands
        self._received = number
