"""The soaks in short, and that they can fail: a soak that finds nothing is worth what it would have found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.soak.syscalls import why_not
from tests.soak.training import RUN, content, differences, unreadable

from snellen.data.ledger import Candidate, Ledger, TestSet
from snellen.runs.run import Run

ROOT = Path(__file__).parents[2]


def soak(module: str, *options: object, out: Path) -> Any:
    command = [sys.executable, "-m", f"tests.soak.{module}", *map(str, options), "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(out.read_text())


def test_ten_kills_at_random_moments_change_no_bit(tmp_path: Path) -> None:
    seed = time.time_ns() % 2**32  # in the outcome, which is shown where the test fails
    found = soak("kills", "--times", 10, "--seed", seed, out=tmp_path / "found.json")
    assert found["landed"] >= 10
    assert found["failures"] == []


@pytest.mark.slow
def test_ctrl_c_and_sigterm_at_random_moments_leave_in_time_and_change_no_bit(tmp_path: Path) -> None:
    for signal in ("TERM", "INT"):
        found = soak("kills", "--times", 10, "--signal", signal, out=tmp_path / "found.json")
        assert found["landed"] >= 10
        assert found["slowest_exit_seconds"] < 5


def test_system_calls_killed_and_failed_here_and_there_lose_nothing(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    found = soak("syscalls", "--every", 29, out=tmp_path / "found.json")
    assert set(found["tried"]) == {"KILL", "ENOSPC", "EIO"}
    assert len(found["writes"]) == 7
    assert found["failures"] == []


_NAIVE = """
import sys
from pathlib import Path
from tests.soak import power_cuts, syscalls
from tests.soak.writes import Write
from snellen.runs.atomic import write_parts
scratch = Path(sys.argv[1])
(scratch / "old").mkdir()
(scratch / "old" / "file").write_bytes(b"old")
def check(place, before, failed):
    there = (place / "file").read_bytes()
    return [] if there in (b"old", b"new") else [f"{there} is neither"]
write = Write("naive", scratch / "old", lambda: lambda: eval(sys.argv[2]), check)
print(*eval(sys.argv[3])(write, scratch, every=1).failures, sep="\\n")
"""


def failures_of(write: str, soak: str, scratch: Path) -> str:
    """What `soak` finds amiss with a write of the file "file", which holds b"old" and is to hold b"new"."""
    command = [sys.executable, "-c", _NAIVE, str(scratch), write, soak]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_sweep_sees_a_write_that_is_not_atomic(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    found = failures_of("Path('file').write_bytes(b'new')", "syscalls.sweep", tmp_path)
    assert "naive, KILL at call 1 (write): b'' is neither" in found
    assert "naive, ENOSPC at call 1 (write): no sentence" in found


def test_power_cuts_here_and_there_lose_nothing(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    found = soak("power_cuts", "--every", 29, out=tmp_path / "found.json")
    assert len(found["writes"]) == 7
    assert found["states"] > 10
    assert found["failures"] == []


@pytest.mark.parametrize(
    ("write", "amiss"),
    [
        ("Path('file').write_bytes(b'new')", "b'' is neither"),
        ("(Path('tmp').write_bytes(b'new'), Path('tmp').rename('file'))", "b'' is neither"),
        ("write_parts(Path('file'), (b'new',))", ""),
    ],
)
def test_a_power_cut_finds_what_a_kill_does_not(tmp_path: Path, write: str, amiss: str) -> None:
    if reason := why_not():
        pytest.skip(reason)
    found = failures_of(write, "power_cuts.cut", tmp_path)
    assert amiss in found
    assert ("is not forced to disk in the end" in found) == (found != "") == (amiss != "")


@pytest.fixture
def place(tmp_path: Path, finished_run: Run) -> Path:
    """A finished run and a ledger where the soak looks for them."""
    shutil.copytree(finished_run.folder, tmp_path / RUN)
    ledger = Ledger(tmp_path / "runs" / "ledger.jsonl")
    candidate = Candidate("run", "beef", "tiny", 0, "beef")
    ledger.intend(TestSet("letters", 1, "f", ("0",)), [candidate], tta="none", reason="why", version="0")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["weights.safetensors", "predictions_val.npz", "curves.png", "resume/state.safetensors", "scorecard_val.json"],
)
def test_a_changed_file_is_a_difference_and_a_torn_one_is_unreadable(place: Path, name: str) -> None:
    before, path = content(place), place / RUN / name
    assert unreadable(place) == []
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"0.1", b"0.2") if name.endswith(".json") else whole[:-1] + bytes([whole[-1] ^ 1]))
    assert differences(before, content(place)) == [name]
    path.write_bytes(whole[: len(whole) // 2])
    assert name in " ".join(unreadable(place))


def test_clocks_are_no_difference_and_a_row_and_a_leftover_are(place: Path) -> None:
    before, run = content(place), Run(place / RUN)
    run.update_info(seconds=12345.0)
    assert differences(before, content(place)) == []
    run.journal.append({"epoch": 3, "step": 24})
    (place / RUN / ".file.tmp").write_bytes(b"")
    assert differences(before, content(place)) == [".file.tmp", "metrics.jsonl", "results.csv"]


def test_a_line_of_the_ledger_that_is_gone_or_edited_is_a_difference(place: Path) -> None:
    before, path = content(place), place / "runs" / "ledger.jsonl"
    path.write_text(path.read_text().replace("why", "because"))
    assert differences(before, content(place))
    assert unreadable(place)
    path.unlink()
    assert differences(before, content(place))
