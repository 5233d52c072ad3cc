"""How soon the page answers and how smoothly its grid scrolls: `python -m tests.report.measure_page [PAGE.html]`.

Without a file it measures a made-up page of 10,000 pictures. Prints JSON; numbers are those of this machine and moment.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright
from tests.report.chromium import launch

from snellen.predict.predictions import Predictions
from snellen.report.bundle import bundle_html
from snellen.report.encoding import make_sprite, packed
from snellen.report.predictions import predictions_json

_FRAME_MS = 1000 / 60
_SCROLL = """async () => {
    const grid = document.querySelector(".grid");
    const long = [];
    new PerformanceObserver(list => long.push(...list.getEntries().map(e => e.duration))).observe({ type: "longtask" });
    const frames = [];
    let last = performance.now();
    const frame = () => new Promise(done => requestAnimationFrame(done));
    for (let n = 0; n < 180; n += 1) {
        grid.scrollTop += 240;  // several rows a frame: a fast flick
        await frame();
        const now = performance.now();
        frames.push(now - last);
        last = now;
    }
    return { frames, long, nodes: document.querySelectorAll(".tile").length, to: grid.scrollTop };
}"""


def synthetic_page(count: int = 10_000) -> str:
    """A page of `count` noise pictures with random answers."""
    rng = np.random.default_rng(0)
    names = tuple(f"class {n}" for n in range(10))
    labels = rng.integers(0, 10, count)
    logits = rng.normal(size=(count, 10)).astype(np.float32) * 1.5
    logits[np.arange(count), labels] += 3
    predictions = Predictions(logits, labels, np.arange(count), names, "val")
    sprites = {"val": make_sprite(rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8), lossless=False)}
    run = {
        "name": "synthetic", "path": "runs/synthetic", "recipe": {"name": "none", "model": "none"}, "journal": [],
        "guards": None, "environment": None, "robustness": None, "ledger": [], "loss_floor": 0.0, "seed": 0,
        "final": False, "device": "cpu", "precision": "fp32", "precision_reason": "", "status": "finished",
        "best_epoch": 1, "seconds": 1.0, "weights": "0" * 64,
    }  # fmt: skip
    split = {
        "ids": packed(np.arange(count), "i4"),
        "labels": packed(labels, "u2"),
        "runs": {"0": predictions_json(predictions, np.arange(count))},
    }
    content = {
        "format": 1, "snellen": "synthetic", "data": {"name": "noise", "source": "made up", "classes": list(names)},
        "runs": [run], "splits": {"val": split}, "layer_views": None,
        "sprites": {name: sprite.about() for name, sprite in sprites.items()},
    }  # fmt: skip
    return bundle_html("synthetic", content, sprites)


def measure(file: Path) -> dict[str, Any]:
    """Milliseconds from the start of navigation until the page can be used, and frame times while the grid scrolls."""
    with sync_playwright() as running:
        browser = launch(running)
        tab = browser.new_page(viewport={"width": 1280, "height": 844})
        devtools = tab.context.new_cdp_session(tab)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

        def busy_ms() -> float:
            """The page's own thread, in milliseconds of processor time: the same whatever else the machine does."""
            found = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
            return 1000 * float(found["TaskDuration"])

        tab.add_init_script(
            "new MutationObserver((_, watch) => { if (document.documentElement?.dataset.ready) {"
            " window.readyAt = performance.now(); watch.disconnect(); } })"
            ".observe(document, { subtree: true, attributes: true, childList: true })"
        )
        tab.goto(f"{file.resolve().as_uri()}#view=gallery")
        tab.wait_for_function("() => window.readyAt", timeout=120_000)
        ready, ready_busy = tab.evaluate("window.readyAt"), busy_ms()
        tab.wait_for_function("() => document.querySelector('.portrait canvas')?.dataset.drawn", timeout=120_000)
        pictures = tab.evaluate("performance.now()")
        tab.wait_for_timeout(500)
        before = busy_ms()
        scrolled = tab.evaluate(_SCROLL)
        scroll_busy = busy_ms() - before
        browser.close()
    frames = np.array(scrolled["frames"])
    return {
        "megabytes": round(file.stat().st_size / 1e6, 1),
        "ready_ms": round(ready),
        "ready_processor_ms": round(ready_busy),
        "pictures_ms": round(pictures),
        "frames": len(frames),
        "frame_processor_ms": round(scroll_busy / len(frames), 2),
        "frame_median_ms": round(float(np.median(frames)), 1),
        "frame_p95_ms": round(float(np.percentile(frames, 95)), 1),
        "dropped_frames": int((np.round(frames / _FRAME_MS) - 1).clip(0).sum()),
        "long_tasks_over_50_ms": len(scrolled["long"]),
        "tiles_in_the_document": scrolled["nodes"],
        "load_average": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]))))
    else:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "synthetic.html"
            made.write_text(synthetic_page(), encoding="utf-8")
            print(json.dumps(measure(made)))
