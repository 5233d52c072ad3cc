"""The real viewer under load: `python -m tests.soak.viewer_load --seconds 60 --connections 64 --out FILE.json`.

wrk asks for the page, for the small document beside it and, with a picture, for answers; then 16 clients flood it with
pictures while the page must go on answering within a second; at last it is told to stop in the middle of a flood.
Everything stays on the loopback interface. Exit code 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import io
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.soak.clients import Flood, hold, seconds_for, wrk
from tests.soak.outcome import head, tell
from tests.soak.served import Served, a_run, serving

from snellen.bench.protocol import conditions_here
from snellen.serialize import to_json

_FLOODERS, _FLOOD_SECONDS, _PAGE_SECONDS, _STOP_SECONDS = 16, 20, 1.0, 5.0
_WARM_SECONDS = 5  # pools and buffers are filled before memory is compared
_FLAT_MB = 20.0


def main() -> int:
    """Measure, print, and write to `--out`."""
    args = _arguments()
    if shutil.which("wrk") is None:
        print("wrk is not installed: apt-get install wrk", file=sys.stderr)
        return 2
    conditions = conditions_here()
    with tempfile.TemporaryDirectory() as name, serving(a_run(args.run, Path(name)), Path(name)) as served:
        began, at_start = time.time(), served.usage()
        loads = [
            _loaded(served, path, Path(name), args, body)
            for path, body in (("/", None), ("/openapi.json", None), ("/answer", _picture()))
        ]
        flood = _flooded(served, args.flood_seconds)
        stop = _stopped(served)
    result = {
        "what": "the viewer on the loopback interface under wrk, a flood of pictures, and SIGTERM in the middle of one",
        **head("tests.soak.viewer_load", args.run, began),
        "conditions": to_json(conditions.after()),
        "at_start": {"memory_mb": round(at_start[0], 1), "open_files": at_start[1]},
        "loads": loads,
        "flood": flood,
        "stop": stop,
        "promises": _promises(at_start[1], loads, flood, stop),
    }
    tell(result, args.out)
    return 0 if all(result["promises"].values()) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a finished run; it is copied. Without one an eye chart is learned.")
    parser.add_argument("--seconds", type=int, default=60, help="of each load")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--flood-seconds", type=int, default=_FLOOD_SECONDS)
    parser.add_argument("--out", type=Path, help="a file for the numbers")
    return parser.parse_args()


def _picture() -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((640, 480)).save(buffer, "JPEG")
    return buffer.getvalue()


def _loaded(served: Served, path: str, folder: Path, args: argparse.Namespace, body: bytes | None) -> dict[str, Any]:
    wrk(served.door, path, folder, seconds=_WARM_SECONDS, connections=args.connections, body=body)
    (before, files_before), (most, stop) = served.usage(), ([0.0], threading.Event())

    def watch() -> None:
        while not stop.wait(0.2):
            most[0] = max(most[0], served.usage()[0])

    watching = threading.Thread(target=watch)
    watching.start()
    counted = wrk(served.door, path, folder, seconds=args.seconds, connections=args.connections, body=body)
    stop.set()
    watching.join()
    time.sleep(1)  # wrk has hung up; let the viewer notice
    after, files_after = served.usage()
    return {
        "path": path, "posted_bytes": 0 if body is None else len(body), **counted,
        "memory_mb": {"before": round(before, 1), "most": round(most[0], 1), "after": round(after, 1)},
        "open_files": {"before": files_before, "after": files_after},
    }  # fmt: skip


def _flooded(served: Served, seconds: int) -> dict[str, Any]:
    """Pictures from many clients, and the page asked for each second meanwhile."""
    flood, pages, small = Flood(served.door, _picture(), _FLOODERS), [], []
    flood.start()
    for _ in range(seconds):
        began = time.monotonic()
        pages.append(round(seconds_for(served.door, "/"), 3))
        small.append(round(seconds_for(served.door, "/openapi.json"), 3))
        time.sleep(max(0.0, 1 - (time.monotonic() - began)))
    flood.end()
    return {
        "clients": _FLOODERS, "seconds": seconds, "statuses": dict(flood.statuses), "torn": flood.torn,
        "unanswered": flood.unanswered, "page_seconds": {"n": len(pages), "most": max(pages), "all": pages},
        "small_seconds": {"n": len(small), "most": max(small)},
    }  # fmt: skip


def _stopped(served: Served) -> dict[str, Any]:
    """SIGTERM while pictures are asked for, one upload is half here, and one line is idle."""
    half = f"POST /answer HTTP/1.1\r\nHost: 127.0.0.1:{served.door.port}\r\nContent-Length: 9999\r\n"
    half += "".join(f"{name}: {value}\r\n" for name, value in served.door.headers.items()) + "\r\nhalf"
    lines = [hold(served.door, half.encode()), hold(served.door, b""), hold(served.door, b"GET / HT")]
    flood = Flood(served.door, _picture(), _FLOODERS)
    flood.start()
    time.sleep(2)
    began = time.monotonic()
    served.process.send_signal(signal.SIGTERM)
    try:
        code: int | None = served.process.wait(30)
    except subprocess.TimeoutExpired:
        code = None
    seconds = time.monotonic() - began
    flood.end()
    for line in lines:
        line.close()
    return {
        "signal": "SIGTERM", "seconds": round(seconds, 2), "exit_code": code, "statuses": dict(flood.statuses),
        "torn": flood.torn, "closed_before_an_answer": flood.unanswered,
        "complaints": served.complaints.read_text().splitlines()[:20],
    }  # fmt: skip


def _promises(files: int, loads: list[dict[str, Any]], flood: dict[str, Any], stop: dict[str, Any]) -> dict[str, bool]:
    *_, pictures = loads
    allowed = {"200", "429"}
    return {
        "no error under load": not any(
            sum(load["errors"].values()) + (load["status"] if load is not pictures else 0) for load in loads
        ),
        "pictures are answered or refused with 429": set(pictures["statuses"]) <= allowed,
        f"memory is flat within {_FLAT_MB:g} MB": all(
            load["memory_mb"]["after"] - load["memory_mb"]["before"] < _FLAT_MB for load in loads
        ),
        "no file stays open": all(load["open_files"]["after"] <= files for load in loads),
        "a flood is answered or refused with 429": set(flood["statuses"]) <= allowed
        and not flood["torn"] + flood["unanswered"],
        f"the page answers within {_PAGE_SECONDS:g} s in a flood": flood["page_seconds"]["most"] < _PAGE_SECONDS,
        f"SIGTERM ends it within {_STOP_SECONDS:g} s": stop["exit_code"] is not None
        and stop["seconds"] < _STOP_SECONDS,
        "what is being answered is answered before it ends": stop["torn"] == 0 and set(stop["statuses"]) <= allowed,
        "it complains about nothing": stop["complaints"] == [],
    }


if __name__ == "__main__":
    sys.exit(main())
