"""From nothing to a number that is on record, as a user goes: in this process, and as commands one after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snellen.cli.main import main
from snellen.data.eyechart import make_eyechart

SMALL = [sys.executable, str(Path(__file__).parent / "small_eyechart.py")]
REAL = [sys.executable, "-m", "snellen"]


class Walker:
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> str:
        assert main([*arguments]) == 0
        return self._capsys.readouterr().out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


class Traveller(Walker):
    """Runs commands in a folder of its own, with nothing in the environment that belongs to the test."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._command, self._folder = command, folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SNELLEN", "COV_"))}
        self._environment = kept | {"HOME": str(folder), "COLUMNS": "100", "PYTHONWARNINGS": "error"}

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._command, *arguments], cwd=self._folder, env=self._environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout


def walk(snellen: Walker, folder: Path, *, epochs: str, test_images: int) -> None:
    settings = [f"epochs={epochs}", "widths=[4,8,8]"]
    trained = snellen("train", "eyechart", "--set", *settings, "--device", "cpu", "--name", "first")
    assert "snellen evaluate runs/first --split test" in trained
    assert [path.name for path in (folder / "runs").glob("[!.]*")] == ["first"]

    val = snellen.json("evaluate", "runs/first")
    information = json.loads((folder / "runs" / "first" / "run.json").read_text())
    assert val["plain"]["accuracy"] == information["val"]["accuracy"]

    Image.fromarray(make_eyechart(train=1, test=0).train.images[0]).save(folder / "letter.png")
    (named,) = snellen.json("predict", "runs/first", "letter.png", "--top", "10")
    assert sum(answer["probability"] for answer in named["top"]) == pytest.approx(1.0)

    graded = snellen.json("evaluate", "runs/first", "--split", "test")
    assert (graded["look"], graded["repeated"]) == (1, False)
    assert graded["runs"][0]["plain"]["accuracy"]["n"] == test_images
    again = snellen.json("evaluate", "runs/first", "--split", "test")
    assert (again["look"], again["repeated"]) == (1, True)
    assert again["runs"] == graded["runs"]

    ledger = snellen.json("ledger")
    assert [line["kind"] for line in ledger["lines"]] == ["intent", "result"]
    assert ledger["problems"] == []
    stored = np.load(folder / "runs" / "first" / "predictions_test.npz", allow_pickle=False)
    assert int((stored["logits"].argmax(axis=1) == stored["labels"]).sum()) == ledger["lines"][1]["results"][0]["hits"]


def test_from_nothing_to_a_grade_on_record(
    small_eyechart: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("SNELLEN_DATA", "SNELLEN_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    walk(Walker(capsys), tmp_path, epochs="1", test_images=60)


@pytest.mark.processes
def test_the_same_in_real_processes(tmp_path: Path) -> None:
    walk(Traveller(SMALL, tmp_path), tmp_path, epochs="1", test_images=60)


@pytest.mark.slow
def test_the_same_with_the_whole_eye_chart_in_a_folder_with_an_awkward_name(tmp_path: Path) -> None:
    folder = tmp_path / "Ordner mit Ω und Leerzeichen"
    folder.mkdir()
    walk(Traveller(REAL, folder), folder, epochs="0.1", test_images=10_000)


@pytest.mark.processes
def test_a_command_piped_into_head_ends_quietly(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m snellen recipes --json | head -n 1"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "[\n"
    assert done.stderr == ""
