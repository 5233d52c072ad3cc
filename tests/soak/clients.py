"""Clients of a viewer that is a process of its own: one that looks at the page, many that ask at once, and wrk."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_COUNT_ANSWERS = """
statuses = {}
function response(status) statuses[status] = (statuses[status] or 0) + 1 end
"""
_SCRIPT = """
local threads = {{}}
function setup(thread) threads[#threads + 1] = thread end
{request}
{counting}
function done(summary, latency)
   local counted = ""
   for _, thread in ipairs(threads) do
      for status, count in pairs(thread:get("statuses") or {{}}) do
         counted = counted .. string.format('%s["%d", %d]', counted == "" and "" or ", ", status, count)
      end
   end
   local errors = summary.errors
   io.write(string.format('\\nJSON {{"requests": %d, "bytes": %d, "seconds": %.3f, "connect": %d, "read": %d, ' ..
      '"write": %d, "timeout": %d, "status": %d, "p50_ms": %.2f, "p99_ms": %.2f, "max_ms": %.2f, "statuses": [%s]}}\\n',
      summary.requests, summary.bytes, summary.duration / 1e6, errors.connect, errors.read, errors.write,
      errors.timeout, errors.status, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
      counted))
end
"""


@dataclass(frozen=True)
class Door:
    """Where a viewer listens, and what its own page sends along."""

    port: int
    cookie: str

    @property
    def origin(self) -> str:
        """Of its page."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """Of every question."""
        return {"Cookie": self.cookie, "Origin": self.origin}


def come_in(url: str) -> Door:
    """Exchange the printed address for a cookie."""
    port, path = int(url.split(":")[2].split("/")[0]), url[url.index("/?") :]
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    line.request("GET", path)
    answer = line.getresponse()
    assert answer.status == 303, answer.status
    line.close()
    return Door(port, str(answer.getheader("set-cookie")).split(";")[0])


def wrk(
    door: Door, path: str, folder: Path, *, seconds: int, connections: int, body: bytes | None = None
) -> dict[str, Any]:
    """What wrk counts in `seconds`: requests, errors by kind, quantiles; statuses where a `body` is posted."""
    request = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in door.headers.items())
    if body is not None:
        request += f'\nwrk.method = "POST"\nwrk.body = "{"".join(f"{chr(92)}{byte:03d}" for byte in body)}"'
    script = folder / "wrk.lua"
    # Counted only with small answers: for the callback wrk keeps each answer whole.
    script.write_text(_SCRIPT.format(request=request, counting="" if body is None else _COUNT_ANSWERS))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script)]
    done = subprocess.run([*command, f"{door.origin}{path}"], capture_output=True, text=True, check=True)
    counted: dict[str, Any] = json.loads(done.stdout.partition("\nJSON ")[2])
    statuses: Counter[str] = Counter()
    for status, count in counted["statuses"]:
        statuses[status] += count
    errors = {name: counted.pop(name) for name in ("connect", "read", "write", "timeout")}
    return {
        "connections": connections,
        "requests_per_second": round(counted["requests"] / counted["seconds"], 1),
        **counted,
        "statuses": dict(statuses),
        "errors": errors,
    }


@dataclass
class Flood:
    """Clients that ask without a pause, each on its own line, until they are told to stop or the viewer goes.

    Attributes:
        statuses: answers by status.
        torn: answers that ended in the middle.
        unanswered: lines that were closed before an answer had begun.
    """

    door: Door
    body: bytes
    clients: int
    statuses: Counter[str] = field(default_factory=Counter)
    torn: int = 0
    unanswered: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Send all clients off."""
        self._threads = [threading.Thread(target=self._ask) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop them and wait for what they are still told."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _ask(self) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self.door.port, timeout=30)
        while not self._stop.is_set():
            try:
                line.request("POST", "/answer", self.body, self.door.headers)
                answer = line.getresponse()
            except ConnectionRefusedError:
                return  # the viewer has gone
            except (OSError, http.client.HTTPException):
                self.unanswered += 1
                line.close()
                continue
            try:
                answer.read()
                self.statuses[str(answer.status)] += 1
            except (OSError, http.client.HTTPException):
                self.torn += 1
        line.close()


def seconds_for(door: Door, path: str) -> float:
    """Until a page is here as a whole, on a line of its own."""
    began = time.monotonic()
    line = http.client.HTTPConnection("127.0.0.1", door.port, timeout=30)
    line.request("GET", path, headers=door.headers)
    answer = line.getresponse()
    answer.read()
    line.close()
    assert answer.status == 200, answer.status
    return time.monotonic() - began


def hold(door: Door, text: bytes) -> socket.socket:
    """A line that says this and then nothing."""
    line = socket.create_connection(("127.0.0.1", door.port), timeout=30)
    with suppress(OSError):
        line.sendall(text)
    return line
