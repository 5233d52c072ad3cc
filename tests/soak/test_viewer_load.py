"""The load command itself: it names what it misses, and a short run keeps every promise but speed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def load(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.soak.viewer_load", *arguments], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | environment, timeout=900,
    )  # fmt: skip


def test_without_wrk_it_says_how_to_get_it() -> None:
    done = load(PATH="")
    assert (done.returncode, done.stderr) == (2, "wrk is not installed: apt-get install wrk\n")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: apt-get install wrk")
def test_a_short_load_breaks_nothing(tmp_path: Path) -> None:
    out = tmp_path / "load.json"
    done = load("--seconds", "3", "--flood-seconds", "3", "--out", str(out))
    found: dict[str, Any] = json.loads(out.read_text())
    speed = "the page answers within 1 s in a flood"  # of whoever else is on the machine, too
    assert {name for name, held in found["promises"].items() if not held} <= {speed}, done.stdout
    assert [load["path"] for load in found["loads"]] == ["/", "/openapi.json", "/answer"]
    assert all(load["requests"] > 0 for load in found["loads"])


def test_a_few_uploads_are_all_answered(tmp_path: Path) -> None:
    out = tmp_path / "uploads.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.uploads", "--count", "60", "--out", str(out)], cwd=ROOT,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(out.read_text())
    # Sixty pictures do not fill the pools, so that nothing is said about memory here.
    assert {name for name, held in found["promises"].items() if not held} <= {"memory is flat within 20 MB"}, (
        done.stdout
    )
    assert sum(found["statuses"]["whole"].values()) + sum(found["statuses"]["cut off"].values()) == 60
    assert found["statuses"]["cut off"]
