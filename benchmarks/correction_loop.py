"""From wrong labels to better data, by the commands that docs/corrections.md gives, and the page driven by keys alone.

    python -m benchmarks.correction_loop FOLDER --out results/accuracy/NAME.json

FOLDER has parts train and val of class folders. In a copy, 5 % of the training pictures are put into the folder of
another class, drawn from a seed. Then: train, doctor --labels, report --labels, mark every doubted picture in Chromium,
save corrections.csv, train with it, compare. Whoever marks is a script that knows where each picture lay before; it
presses the keys a person would, and takes none of a person's time. Labels that were wrong before stay unknown to it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.photographs import measured
from snellen.paths import user_path
from snellen.runs.atomic import write_json
from snellen.runs.environment import describe_environment

SHARE = 0.05
Truth = dict[str, str]


def planted(source: Path, copy: Path, seed: int) -> tuple[Truth, list[str]]:
    """Links to all pictures in `copy`, 5 % of train elsewhere; the class that each had, by name; and those 5 %."""
    rng, truth, wrong = np.random.default_rng(seed), Truth(), list[str]()
    for part in ("train", "val"):
        files = sorted(path for path in (source / part).glob("*/*") if path.is_file())
        classes = sorted({path.parent.name for path in files})
        chosen = set(rng.permutation(len(files))[: round(SHARE * len(files))].tolist()) if part == "train" else set()
        for at, path in enumerate(files):
            others = [name for name in classes if name != path.parent.name]
            label = others[int(rng.integers(len(others)))] if at in chosen else path.parent.name
            place = copy / part / label / path.name
            if place.exists():
                place = place.with_stem(f"{place.stem}-{path.parent.name}")
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, place)
            name = place.relative_to(copy).as_posix()
            truth[name] = path.parent.name
            if at in chosen:
                wrong.append(name)
    return truth, wrong


def marked_by_keys(page: Path, truth: Truth, saved: Path) -> dict[str, Any]:
    """Mark every doubted label as `truth` has it, without a pointer, and save the file; how many keys that took."""
    keys = 0
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": 1280, "height": 844})
        tab.goto(page.resolve().as_uri())
        tab.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)

        def press(key: str) -> None:
            nonlocal keys
            keys += 1
            tab.keyboard.press(key)
            tab.wait_for_function("() => document.documentElement.dataset.shown === location.hash")

        def tab_to(name: str) -> None:
            for _ in range(200):
                press("Tab")
                if tab.evaluate("document.activeElement.textContent") == name:
                    return
            raise SystemExit(f"{name} cannot be reached by Tab")

        tab_to("Labels")
        press("Enter")
        count = int(re.sub(r"\D.*", "", tab.locator(".found").inner_text().replace(",", "")))
        for _ in range(count):
            right = truth[tab.locator(".file-name code").inner_text()]
            if right == tab.locator(".is strong").inner_text():
                press("f")
                continue
            bars = [text.split("\n")[0].strip() for text in tab.locator(".bars .name").all_inner_texts()]
            press("w" if right == tab.locator(".says strong").inner_text() else str(bars.index(right) + 1))
        tab_to("Save corrections.csv")
        with tab.expect_download() as waiting:
            press("Enter")
        waiting.value.save_as(saved)
        browser.close()
    return {"pictures_marked": count, "keys_pressed": keys}


def gone_round(source: Path, seed: int) -> dict[str, Any]:
    """The whole loop once: what was found and corrected, what each step took, and both grades."""
    steps: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=source.parent) as place:  # on its disk: links are made
        room = Path(place)
        data, table = room / "flowers", room / "corrections.csv"
        truth, wrong = planted(source, data, seed)

        def snellen(step: str, *command: str) -> dict[str, Any]:
            answer = measured(["-m", "snellen", *command, "--json"], cache=room / "cache")
            steps[step] = {key: answer.pop(key) for key in ("seconds", "processor_seconds", "peak_mb")}
            print(step, steps[step], flush=True)
            return answer

        runs = ["--runs", str(room / "runs"), "--seed", str(seed)]
        before = snellen("train", "train", str(data), *runs, "--name", "before")
        doubts = snellen("doctor --labels", "doctor", str(data), "--labels")
        page = Path(snellen("report --labels", "report", str(room / "runs" / "before"), "--labels")["report"])
        started = time.perf_counter()
        marking = marked_by_keys(page, truth, table)
        steps["marking, by a script"] = {"seconds": round(time.perf_counter() - started, 1)}
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        fixed = {row["file"] for row in rows if row["why"] == "wrong" and row["new"] == truth[row["file"]]}
        after = snellen(
            "train --corrections", "train", str(data), *runs, "--name", "after", "--corrections", str(table)
        )
        both = [str(room / "runs" / name) for name in ("before", "after")]
        compared = snellen("compare", "compare", *both)
        names = [issue["name"] for issue in doubts["issues"]]
        found = {
            "pictures": len(truth),
            "planted": len(wrong),
            "doubted": len(names),
            "planted_among_the_doubted": len(set(names) & set(wrong)),
            "planted_among_as_many_first_ones": len(set(names[: len(wrong)]) & set(wrong)),
            **marking,
            "corrected_to_what_they_were": len(fixed & set(wrong)),
            "page_mb": round(page.stat().st_size / 1e6, 1),
        }
    return {"found": found, "steps": steps, "before": before["val"], "after": after["val"], "compare": compared}


def main(arguments: list[str]) -> int:
    """Go round and write it down; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.correction_loop")
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True)
    parsed = parser.parse_args(arguments)
    done = gone_round(user_path(parsed.folder), parsed.seed)
    environment = describe_environment()
    environment.pop("command")  # of the product's own verbs
    about = {
        "what": __doc__.partition("\n")[0],
        "command": f"python -m benchmarks.correction_loop FOLDER --seed {parsed.seed}",
        "conditions": "a machine shared with other work: seconds are upper bounds",
        "load_average": os.getloadavg(),
        "environment": environment,
    }
    write_json(user_path(parsed.out), {**about, **done})
    print(json.dumps(done["found"], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
