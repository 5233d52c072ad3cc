"""The pictures of docs/report.md: `python -m tests.report.make_screenshots RUN --out docs/screenshots`.

RUN is a run folder, whose report.html is written first if it is not there, or a report's file. `--look FOLDER` writes
each view in three sizes and both themes instead, six on a sheet, to be looked at before a release.
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

_LARGEST = 130_000  # bytes of one picture
_PHONE, _LAPTOP, _WIDE = 390, 1280, 1800
_SHOTS = (
    ("overview", "", _LAPTOP, 844, False),
    ("gallery", "view=gallery&group=3", _LAPTOP, 844, False),
    ("labels", "view=labels", _LAPTOP, 844, True),
    ("confusions", "view=confusions", _LAPTOP, 1180, False),
    ("versus", "view=versus&run=1", _LAPTOP, 844, False),
    ("curves", "view=curves", _LAPTOP, 960, True),
    ("inside", "view=inside", _WIDE, 1340, True),
    ("pipeline", "view=pipeline", _LAPTOP, 1340, False),
    ("classes", "view=classes", _LAPTOP, 1180, False),
    ("map", "view=map", _WIDE, 1130, True),
    ("record", "view=record", _LAPTOP, 844, False),
    ("phone", "view=gallery&group=3", _PHONE, 844, False),
    ("phone_labels", "view=labels", _PHONE, 844, True),
)
"""Name, address, width and height in pixels, dark. What the page does not have is left out."""


def as_webp(png: bytes) -> bytes:
    """The picture as WebP: lossless where that is small enough, else as good as the size allows."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for options in ({"lossless": True}, *({"quality": quality} for quality in (90, 80, 70, 50))):
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", method=6, **options)
        if buffer.tell() <= _LARGEST:
            break
    return buffer.getvalue()


def taken(browser: Any, page: Path, address: str, size: tuple[int, int], dark: bool) -> bytes | None:
    """One view as PNG; None where the page has no such view."""
    width, height = size
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
    here = tab.locator("nav a[aria-current]").get_attribute("href")
    png = tab.screenshot() if not address or address.partition("&")[0] in here else None
    tab.close()
    return png


def shoot(browser: Any, page: Path, out: Path) -> None:
    """Write one picture of each view."""
    for name, address, width, height, dark in _SHOTS:
        png = taken(browser, page, address, (width, height), dark)
        if png is not None:
            (out / f"{name}.webp").write_bytes(as_webp(png))


def look(browser: Any, page: Path, out: Path) -> None:
    """Write a sheet of six for each view: phone, laptop and wide, light above dark, at half their size."""
    for name, address, *_ in _SHOTS[:-2]:
        shots = [
            taken(browser, page, address, (width, 1000), dark)
            for dark in (False, True)
            for width in (_PHONE, _LAPTOP, _WIDE)
        ]
        if None in shots:
            continue
        sheet = Image.new("RGB", ((_PHONE + _LAPTOP + _WIDE) // 2, 1000))
        for at, png in enumerate(shots):
            half = Image.open(io.BytesIO(png)).convert("RGB")
            half = half.resize((half.width // 2, half.height // 2), Image.Resampling.LANCZOS)
            left = (0, _PHONE // 2, (_PHONE + _LAPTOP) // 2)[at % 3]
            sheet.paste(half, (left, 500 * (at // 3)))
        sheet.save(out / f"{name}.png")


def main() -> None:
    """Parse the command line and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    parser.add_argument("--look", type=Path)
    arguments = parser.parse_args()
    page = arguments.run if arguments.run.is_file() else arguments.run / "report.html"
    if not page.exists():
        write_report([open_run(arguments.run)], out=page)
    out = arguments.look or arguments.out
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as running:
        browser = launch(running)
        (look if arguments.look else shoot)(browser, page, out)
        browser.close()
    for picture in sorted(out.glob("*.png" if arguments.look else "*.webp")):
        print(f"{picture}  {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
