"""How fast a viewer answers: `python -m tests.viewer.measure_answers ADDRESS PICTURE`, with the address it printed."""

from __future__ import annotations

import statistics
import sys
import time
from base64 import b64decode
from pathlib import Path

import httpx


def main(url: str, picture: bytes, *, questions: int = 60) -> None:
    """Print the median time of `/answer` and `/explain`, one question after the other."""
    base = url.partition("/?")[0]
    with httpx.Client(base_url=base, headers={"origin": base}, follow_redirects=True, timeout=60) as browser:
        browser.get(url).raise_for_status()
        small = b64decode(browser.post("/answer", content=picture).json()["input"]["data"])
        for path, body in (("/answer", picture), ("/explain", small)):
            milliseconds = []
            for _ in range(questions):
                start = time.perf_counter()
                browser.post(path, content=body).raise_for_status()
                milliseconds.append(1000 * (time.perf_counter() - start))
            print(path, f"median {statistics.median(milliseconds):.1f} ms, n={questions}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).read_bytes())
