"""The pictures of docs/report.md: `python -m tests.report.make_screenshots RUN --out docs/screenshots`.

RUN is a run folder, whose report.html is written first if it is not there, or a report's file.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright
from tests.report.chromium import launch

from snellen.report.page import write_report
from snellen.runs.run import open_run

_LARGEST = 250_000  # bytes of one picture
_SHOTS = (
    ("overview", "", 1280, 844, False),
    ("gallery", "view=gallery&group=3", 1280, 844, False),
    ("confusions", "view=confusions", 1280, 1180, False),
    ("curves", "view=curves", 1280, 960, False),
    ("inside", "view=inside", 1280, 1340, True),
    ("pipeline", "view=pipeline", 1280, 1340, False),
    ("classes", "view=classes", 1280, 1180, False),
    ("map", "view=map", 1280, 1130, True),
    ("record", "view=record", 1280, 844, False),
    ("phone", "view=gallery&group=3", 390, 844, False),
)
"""Name, address, width and height in pixels, dark."""


def as_webp(png: bytes) -> bytes:
    """The picture as WebP: lossless where that is small enough, else as good as the size allows."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for options in ({"lossless": True}, *({"quality": quality} for quality in (90, 80, 70, 50))):
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", method=6, **options)
        if buffer.tell() <= _LARGEST:
            break
    return buffer.getvalue()


def shoot(browser: Any, page: Path, out: Path) -> None:
    """Write one picture of each view."""
    for name, address, width, height, dark in _SHOTS:
        tab = browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        tab.goto(f"{page.resolve().as_uri()}#{address}")
        tab.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)
        drawn = "() => [...document.querySelectorAll('canvas[data-tile]')].every(canvas => canvas.dataset.drawn)"
        tab.wait_for_function(drawn, timeout=120_000)
        tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        (out / f"{name}.webp").write_bytes(as_webp(tab.screenshot()))
        tab.close()


def main() -> None:
    """Parse the command line and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    arguments = parser.parse_args()
    page = arguments.run if arguments.run.is_file() else arguments.run / "report.html"
    if not page.exists():
        write_report([open_run(arguments.run)], out=page)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as running:
        browser = launch(running)
        shoot(browser, page, arguments.out)
        browser.close()
    for picture in sorted(arguments.out.glob("*.webp")):
        print(f"{picture}  {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
