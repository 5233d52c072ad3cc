"""One connection, with an end to its patience.

uvicorn waits for ever for a head that does not end, for the rest of an upload that it refused, and for a client that
does not read; and it takes as many connections as there are file numbers, after which nobody is let in. Here

    a head has ten seconds              then 408, and the line is closed
    the rest of a refused upload        is thrown away so that the refusal can be read, for a while and up to a size
    a client that reads nothing         is left after thirty seconds, or two when the server stops
    a line more than there is room for  takes the place of the one that has stood idle longest
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from snellen.viewer.auth import Limits

_THROWN_AWAY = 8  # times the largest upload: a client that writes all before it reads still hears why not
_LATE = b"The question was not here in time."


class Line(H11Protocol):
    """uvicorn's connection under `Limits`; the attribute is one of the class, since uvicorn makes the objects."""

    limits = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first head, and make room if there is none."""
        super().connection_made(transport)
        self._opened = self.loop.time()
        self._awaited: object = None  # one of h11's states
        self._surplus = 0
        self._clock: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._watch()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """Hand the bytes on, and see what is waited for now."""
        super().data_received(data)
        self._watch()
        if self._awaited is h11.SEND_BODY and self.conn.our_state is h11.DONE:
            self._surplus += len(data)
            if self._surplus > _THROWN_AWAY * self.limits.body_bytes:
                self.transport.close()

    def pause_writing(self) -> None:
        """The client reads more slowly than we write: give it some time."""
        super().pause_writing()
        self._stall = self.loop.call_later(self.limits.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        _stop(self._stall)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        _stop(self._clock)
        _stop(self._stall)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Say that the bytes are no HTTP, unless another answer has begun: uvicorn would fail with a traceback."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """The server has been told to stop: let what is being answered end, and wait for nobody longer."""
        super().shutdown()
        _stop(self._stall)
        self._stall = self.loop.call_later(self.limits.drain_seconds, self.transport.abort)

    def _watch(self) -> None:
        """Start the clock of what is waited for, once; single bytes do not wind it up again."""
        if self.conn.their_state is self._awaited:
            return
        self._awaited, self._surplus = self.conn.their_state, 0
        _stop(self._clock)
        head, body = self.limits.head_seconds, self.limits.body_seconds
        # The gate has its own clock for a body that it wants; what it does not want ends a little later.
        seconds = {h11.IDLE: head, h11.SEND_BODY: body + head}.get(self._awaited)
        self._clock = None if seconds is None else self.loop.call_later(seconds, self._close_late)

    def _close_late(self) -> None:
        if self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:  # some of a head is here
            length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(_LATE)
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain\r\n" + length + _LATE)
        self.transport.close()

    def _make_room(self) -> None:
        lines = [each for each in self.connections if isinstance(each, Line) and not each.transport.is_closing()]
        if len(lines) > self.limits.lines:
            idle = [each for each in lines if each.cycle is None or each.cycle.response_complete]
            min(idle, key=lambda each: each._opened).transport.close()  # this one is idle too


def _stop(clock: asyncio.TimerHandle | None) -> None:
    if clock is not None:
        clock.cancel()
