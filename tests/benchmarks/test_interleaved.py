"""Two processes that train in turns, and a peer beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import to_accuracy
from benchmarks.interleaved import Trained, train_interleaved
from benchmarks.to_accuracy import Options
from snellen.errors import InvalidSetting, RunError

TRAINER = """
import json, sys, time
name, log = sys.argv[1:3]
while True:
    started = time.perf_counter()
    with open(log, "a") as file:
        file.write(name + " begins\\n")
    time.sleep(0.05)
    with open(log, "a") as file:
        file.write(name + " ends\\n")
    print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)
    if not sys.stdin.readline():
        break
"""


@pytest.fixture
def trainer(tmp_path: Path) -> Path:
    path = tmp_path / "trainer.py"
    path.write_text(TRAINER)
    return path


@pytest.mark.processes
def test_trainers_take_turns_and_no_two_train_at_once(trainer: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    ours, peer = train_interleaved([([str(trainer), "ours", str(log)], 3), ([str(trainer), "peer", str(log)], 2)])
    told = log.read_text().splitlines()
    assert told == [
        f"{name} {word}" for name in ("ours", "peer", "ours", "peer", "ours") for word in ("begins", "ends")
    ]
    assert (len(ours.lines), len(peer.lines)) == (3, 2)


@pytest.mark.processes
def test_cold_is_from_the_start_of_the_process_and_holds_the_interpreter(trainer: Path, tmp_path: Path) -> None:
    (one,) = train_interleaved([([str(trainer), "ours", str(tmp_path / "log")], 2)])
    assert one.cold_seconds > one.lines[0]["seconds"]
    assert one.lines[1]["seconds"] < 10


@pytest.mark.processes
@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("import sys; sys.exit('no such data')", "ended with code 1: no such data"),
        ("print('hello', flush=True)", "printed 'hello', which is no JSON object with seconds"),
        ("print('[]', flush=True)", "which is no JSON object with seconds"),
        ("", "ended before it had told of the training asked for"),
    ],
)
def test_a_trainer_that_does_not_keep_to_the_protocol_is_named(program: str, sentence: str) -> None:
    with pytest.raises(RunError, match=sentence):
        train_interleaved([(["-c", program], 2)])


def test_the_peer_has_its_own_line_and_ours_is_a_fraction_of_its_time(
    monkeypatch: pytest.MonkeyPatch, trainer: Path
) -> None:
    def trained(seconds: list[float], cold: float, **more: Any) -> Trained:
        return Trained(tuple({"seconds": each, **more} for each in seconds), cold, None)

    val = {"accuracy": 0.9, "accuracy_tta": None, "run": "r", "device": "cpu", "precision": "bf16"}
    turns = [trained([55, 40, 44, 48], 60.0, **val), trained([90, 80, 80], 100.0, name="other 1.2", precision="fp32")]
    monkeypatch.setattr(to_accuracy, "train_interleaved", lambda trainers: turns)
    theirs, ratio, ours = to_accuracy.measure(Options(seeds=4, peer=trainer, peer_seeds=3))
    assert (theirs.case, theirs.conditions.precision) == ("other 1.2", "fp32")
    assert (theirs.figures["cold s"], theirs.figures["warm s"], theirs.figures["accuracy %"]) == (100, 80, None)
    assert ratio.figures == {"cold": 0.6, "warm": pytest.approx(0.525), "cold pairs": 1, "warm pairs": 2}
    assert (ours.figures["warm s"], ours.figures["seeds"]) == (44, 4)


def test_a_peer_that_is_not_there_or_trains_more_often_than_we_do_is_refused(trainer: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="--peer .*nowhere.py is not a file"):
        Options(peer=tmp_path / "nowhere.py").require_possible()
    with pytest.raises(InvalidSetting, match="--peer-seeds 4 is not possible: 1 to --seeds"):
        Options(peer=trainer, seeds=3, peer_seeds=4).require_possible()
